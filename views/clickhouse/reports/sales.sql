-- title: Sales
-- question: What is sold per hour, day or month? Counted are confirmed orders with all their lines, at the time of their confirmation; nothing is taken off for what is
-- question: cancelled or refunded later.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: granularity choice day hour,day,month "length of a period"
-- param: currency text "" "only this currency, such as EUR; empty: each"
-- chart: line x=period y=sales_minor series=currency
SELECT
    toDateTime(date_trunc({granularity:String}, at), 'UTC') AS period, -- its first instant
    currency,
    count() AS orders,
    sum(lines) AS lines,
    sum(units) AS units,
    sum(total_minor) AS sales_minor
FROM order_events FINAL
PREWHERE type = 'OrderConfirmed' -- rows of one key are equal in all columns, so what is left out before FINAL is left out with its repetitions
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
    AND ({currency:String} = '' OR currency = {currency:String})
GROUP BY period, currency
ORDER BY period, currency
