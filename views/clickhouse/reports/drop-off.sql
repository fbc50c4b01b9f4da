-- title: Where orders end
-- question: What became of the orders that were placed in the span, and why? Counted are orders by their state now, and by the first of their reasons; the share is of all of them.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=status y=orders series=reason
SELECT
    status,
    reason,
    count() AS orders,
    orders / sum(count()) OVER () AS order_share
FROM orders_now FINAL
WHERE tenant = {tenant:String} AND placed_at >= {from:DateTime64(3, 'UTC')} AND placed_at < {to:DateTime64(3, 'UTC')}
GROUP BY status, reason
ORDER BY orders DESC, status, reason
