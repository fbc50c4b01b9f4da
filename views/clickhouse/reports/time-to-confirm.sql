-- title: Time from placing to confirmation
-- question: How long does a buyer wait? Counted are confirmed orders at the time of their confirmation; half of them took p50 or less, and so on.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: granularity choice day hour,day,month "length of a period"
-- chart: line x=period y=p50_ms,p90_ms,p99_ms
WITH quantilesExactWeighted(0.5, 0.9, 0.99)(dateDiff('millisecond', placed_at, at), 1) AS q -- exact, and it keeps each value once with its number
SELECT
    toDateTime(date_trunc({granularity:String}, at), 'UTC') AS period, -- its first instant
    count() AS orders,
    q[1] AS p50_ms,
    q[2] AS p90_ms,
    q[3] AS p99_ms,
    max(dateDiff('millisecond', placed_at, at)) AS longest_ms
FROM order_events FINAL
PREWHERE type = 'OrderConfirmed'
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
    AND placed_at >= toDateTime64(1, 3, 'UTC') -- 1970: not known
GROUP BY period
ORDER BY period
