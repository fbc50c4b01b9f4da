-- title: Time in each state
-- question: How long do orders stay in a state before they leave it, and for which? Counted are orders that left the state in the span; half of them stayed for p50 or less, and so on.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=state y=p50_ms,p90_ms,p99_ms series=next_state
WITH
    quantilesExactWeighted(0.5, 0.9, 0.99)(stay_ms, 1) AS q, -- exact, and it keeps each value once with its number
    -- A move from a state to the next, by a number that is cheap to group by.
    [('PENDING', 'CONFIRMED'), ('PENDING', 'REJECTED'), ('PENDING', 'EXPIRED'), ('PENDING', 'CANCELLING'), ('CONFIRMED', 'CANCELLING'), ('CANCELLING', 'CANCELLED')] AS moves
SELECT
    moves[move].1 AS state,
    moves[move].2 AS next_state,
    count() AS orders,
    q[1] AS p50_ms,
    q[2] AS p90_ms,
    q[3] AS p99_ms,
    max(stay_ms) AS longest_ms
FROM
(
    SELECT
        multiIf(type = 'OrderConfirmed', 1, type = 'OrderRejected', 2, type = 'OrderExpired', 3, 4) AS move,
        dateDiff('millisecond', placed_at, at) AS stay_ms
    FROM order_events FINAL
    PREWHERE type IN ('OrderConfirmed', 'OrderRejected', 'OrderExpired') OR type = 'OrderCancellationRequested' AND status_before = 'PENDING'
    WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
        AND placed_at >= toDateTime64(1, 3, 'UTC') -- 1970: not known
    UNION ALL
    SELECT stay.1, dateDiff('millisecond', stay.2, stay.3)
    FROM
    (
        -- Grouped by order, so a row that is there twice is no second one, and FINAL is not needed.
        SELECT
            sipHash64(order_id) AS id, -- eight bytes, for speed: of ten million orders two share one with a chance of 3 in a million
            minIf(at, type = 'OrderCancellationRequested') AS asked_at,
            minIf(at, type = 'OrderCancelled') AS cancelled_at,
            maxIf(status_before = 'CONFIRMED', type = 'OrderCancellationRequested') AS was_confirmed
        FROM order_events
        PREWHERE type IN ('OrderCancellationRequested', 'OrderCancelled')
        WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')}
        GROUP BY id
    ) AS c
    LEFT JOIN
    (
        SELECT sipHash64(order_id) AS id, max(decided_at) AS confirmed_at -- the same in each of these versions
        FROM orders_now
        PREWHERE status IN ('CANCELLING', 'CANCELLED')
        WHERE tenant = {tenant:String}
        GROUP BY id
    ) AS o ON o.id = c.id
    ARRAY JOIN [(5, confirmed_at, if(was_confirmed, asked_at, toDateTime64(0, 3, 'UTC'))), (6, asked_at, cancelled_at)] AS stay
    WHERE stay.3 >= {from:DateTime64(3, 'UTC')} AND least(stay.2, stay.3) >= toDateTime64(1, 3, 'UTC') -- left within the span, and both times are known
)
GROUP BY move
ORDER BY state, next_state
