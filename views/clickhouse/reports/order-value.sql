-- title: Order value
-- question: What is an order worth? Counted are confirmed orders at the time of their confirmation; the average is rounded to whole minor units, the median is exact (of an even
-- question: number of orders the lower of the two in the middle).
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: granularity choice day hour,day,month "length of a period"
-- chart: line x=period y=average_minor series=currency
SELECT
    toDateTime(date_trunc({granularity:String}, at), 'UTC') AS period, -- its first instant
    currency,
    count() AS orders,
    sum(total_minor) AS sales_minor,
    intDiv(2 * sales_minor + orders, 2 * orders) AS average_minor, -- half a unit is rounded up
    quantileExactWeighted(0.5)(total_minor, 1) AS median_minor,
    sum(lines) / orders AS lines_per_order,
    sum(units) / orders AS units_per_order
FROM order_events FINAL
PREWHERE type = 'OrderConfirmed'
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY period, currency
ORDER BY period, currency
