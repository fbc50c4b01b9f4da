-- title: Refunds
-- question: How much money goes back? Counted are refunds and captures at the time of the provider's answer; the share is of what was captured in the same period, so it can exceed 1.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: granularity choice day hour,day,month "length of a period"
-- chart: line x=period y=refunded_minor series=currency
SELECT
    toDateTime(date_trunc({granularity:String}, at), 'UTC') AS period, -- its first instant
    currency,
    countIf(outcome = 'REFUNDED') AS refunds,
    sumIf(amount_minor, outcome = 'REFUNDED') AS refunded_minor,
    sumIf(amount_minor, outcome = 'CAPTURED') AS captured_minor,
    if(captured_minor = 0, NULL, refunded_minor / captured_minor) AS refunded_share
FROM payments FINAL
PREWHERE outcome IN ('REFUNDED', 'CAPTURED')
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY period, currency
ORDER BY period, currency
