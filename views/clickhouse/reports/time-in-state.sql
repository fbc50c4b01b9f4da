-- title: Time in each state
-- question: How long do orders stay in a state before they leave it, and for which? Counted are orders that left the state in the span; half of them stayed for p50 or less, and so on.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=state y=p50_ms,p90_ms,p99_ms series=next_state
WITH
    asked AS
    (
        SELECT order_id, at, placed_at, status_before
        FROM order_events FINAL
        PREWHERE type = 'OrderCancellationRequested'
        WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')}
    ),
    stays AS
    (
        SELECT
            'PENDING' AS state,
            transform(toString(type), ['OrderConfirmed', 'OrderRejected', 'OrderExpired'], ['CONFIRMED', 'REJECTED', 'EXPIRED'], 'CANCELLING') AS next_state,
            dateDiff('millisecond', placed_at, at) AS stay_ms
        FROM order_events FINAL
        PREWHERE type IN ('OrderConfirmed', 'OrderRejected', 'OrderExpired', 'OrderCancellationRequested')
        WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
            AND (type != 'OrderCancellationRequested' OR status_before = 'PENDING')
            AND placed_at >= toDateTime64(1, 3, 'UTC') -- 1970: not known
        UNION ALL
        SELECT 'CONFIRMED', 'CANCELLING', dateDiff('millisecond', o.decided_at, a.at)
        FROM asked AS a
        INNER JOIN (SELECT order_id, decided_at FROM orders_now FINAL WHERE tenant = {tenant:String} AND status IN ('CANCELLING', 'CANCELLED')) AS o ON o.order_id = a.order_id
        WHERE a.status_before = 'CONFIRMED' AND a.at >= {from:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT 'CANCELLING', 'CANCELLED', dateDiff('millisecond', a.at, c.at)
        FROM asked AS a
        INNER JOIN
        (
            SELECT order_id, at
            FROM order_events FINAL
            PREWHERE type = 'OrderCancelled'
            WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
        ) AS c ON c.order_id = a.order_id
    ),
    quantilesExactLow(0.5, 0.9, 0.99)(stay_ms) AS q
SELECT
    state,
    next_state,
    count() AS orders,
    q[1] AS p50_ms,
    q[2] AS p90_ms,
    q[3] AS p99_ms,
    max(stay_ms) AS longest_ms
FROM stays
GROUP BY state, next_state
ORDER BY state, next_state
