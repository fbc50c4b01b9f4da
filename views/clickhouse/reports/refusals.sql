-- title: Refusals by reason
-- question: Why are orders refused? Counted are refused orders (OrderRejected) at the time of the refusal, by the first of their reasons in order of precedence; the share is
-- question: of all orders that were refused or confirmed in the span.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=reason y=orders
SELECT
    reason,
    countIf(type = 'OrderRejected') AS orders,
    orders / sum(count()) OVER () AS decided_share,
    sum(lines) AS lines,
    sum(units) AS units
FROM order_events FINAL
PREWHERE type IN ('OrderRejected', 'OrderConfirmed')
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY reason
QUALIFY orders > 0
ORDER BY orders DESC, reason
