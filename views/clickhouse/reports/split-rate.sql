-- title: Split rate
-- question: How many lines come from more than one place? Counted are lines of confirmed orders at the time of their confirmation; split are those whose units are held at two or more
-- question: locations.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: granularity choice day hour,day,month "length of a period"
-- chart: line x=period y=split_share
SELECT
    toDateTime(date_trunc({granularity:String}, at), 'UTC') AS period, -- its first instant
    count() AS lines,
    countIf(locations > 1) AS split_lines,
    split_lines / lines AS split_share,
    sum(locations) AS places -- Σ of the lines' locations
FROM order_lines FINAL
PREWHERE type = 'OrderConfirmed'
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY period
ORDER BY period
