-- title: Lines per order
-- question: How many lines has an order? Counted are confirmed orders at the time of their confirmation, by their number of lines; the share is of all of them.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=lines y=orders
SELECT
    lines,
    count() AS orders,
    orders / sum(count()) OVER () AS order_share,
    sum(units) AS units
FROM order_events FINAL
PREWHERE type = 'OrderConfirmed'
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY lines
ORDER BY lines
