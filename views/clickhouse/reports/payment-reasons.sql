-- title: Payment answers by reason
-- question: What do providers answer, and why? Counted are their answers at the time of the answer, by what was asked, what came of it, and the reason that the provider gave; the share is of
-- question: all answers of that provider to that operation.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=reason y=answers series=provider
SELECT
    provider,
    operation,
    outcome,
    reason, -- the provider's own word, empty where it gave none
    count() AS answers,
    answers / sum(count()) OVER (PARTITION BY provider, operation) AS answer_share
FROM payments FINAL
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY provider, operation, outcome, reason
ORDER BY provider, operation, answers DESC, outcome, reason
