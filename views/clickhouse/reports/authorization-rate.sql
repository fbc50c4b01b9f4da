-- title: Authorization rate
-- question: How often does a provider authorize what it is asked for? Counted are its final answers to authorizations at the time of the answer, by method; money that was taken at once is
-- question: authorized too. An answer that the buyer has to act first is none.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=provider y=authorization_share series=method
SELECT
    provider,
    method,
    count() AS answers,
    countIf(outcome IN ('AUTHORIZED', 'CAPTURED')) AS authorized,
    answers - authorized AS refused,
    authorized / answers AS authorization_share
FROM payments FINAL
PREWHERE operation = 'AUTHORIZE' AND outcome != 'REQUIRES_ACTION'
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY provider, method
ORDER BY provider, method
