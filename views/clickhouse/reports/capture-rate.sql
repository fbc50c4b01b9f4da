-- title: Capture rate
-- question: How much of the money that is held is taken? Counted are amounts that providers authorized, took and let go in the span, each at its own time: what is taken today may have been
-- question: held before, so a share can exceed 1. Failed are attempts to take that the provider refused.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=provider y=captured_share series=currency
SELECT
    provider,
    currency,
    sumIf(amount_minor, outcome = 'AUTHORIZED' OR operation = 'AUTHORIZE' AND outcome = 'CAPTURED') AS authorized_minor,
    sumIf(amount_minor, outcome = 'CAPTURED') AS captured_minor,
    sumIf(amount_minor, outcome = 'VOIDED') AS voided_minor,
    if(authorized_minor = 0, NULL, captured_minor / authorized_minor) AS captured_share,
    countIf(outcome = 'CAPTURED') AS captures,
    countIf(operation = 'CAPTURE' AND outcome != 'CAPTURED') AS failed_captures
FROM payments FINAL
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY provider, currency
ORDER BY provider, currency
