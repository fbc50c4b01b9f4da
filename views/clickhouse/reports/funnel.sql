-- title: Order funnel
-- question: How far do orders come? Counted are orders that were placed in the span, by what became of them until now: decided, found in stock at their price, paid for and so
-- question: confirmed, and not cancelled afterwards. Lost is what the step before had more.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=name y=orders
SELECT
    s.1 AS step,
    s.2 AS name,
    s.3 AS orders,
    if(placed = 0, NULL, orders / placed) AS placed_share,
    s.4 AS lost,
    s.5 AS lost_to
FROM
(
    WITH
        toInt64(countIf(type = 'OrderCreated')) AS placed,
        toInt64(countIf(type = 'OrderConfirmed')) AS confirmed,
        toInt64(countIf(type = 'OrderRejected' AND startsWith(reason, 'PAYMENT_'))) AS unpaid,
        toInt64(countIf(type = 'OrderRejected')) - unpaid AS refused,
        toInt64(countIf(type = 'OrderCancellationRequested' AND status_before = 'CONFIRMED')) AS cancelled
    SELECT
        placed,
        [
            (1, 'placed', placed, 0, ''),
            (2, 'decided', confirmed + refused + unpaid, placed - confirmed - refused - unpaid, 'expired, cancelled before, or not decided yet'),
            (3, 'in stock', confirmed + unpaid, refused, 'stock, price, currency or limit'),
            (4, 'confirmed', confirmed, unpaid, 'payment'),
            (5, 'kept', confirmed - cancelled, cancelled, 'cancelled after the confirmation')
        ] AS steps
    FROM order_events FINAL
    WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND placed_at >= {from:DateTime64(3, 'UTC')} AND placed_at < {to:DateTime64(3, 'UTC')}
)
ARRAY JOIN steps AS s
ORDER BY step
