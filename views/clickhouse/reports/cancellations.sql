-- title: Cancellations and their cost
-- question: Who cancels, at which stage, and what does it cost? Counted are cancellations at the time that they were asked for; given up is the total of the orders; one that
-- question: was not confirmed had none yet. What was paid back stands in the report of refunds. The share is of all cancellations.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=reason y=given_up_minor series=status_before
SELECT
    reason,
    status_before, -- where the order was
    currency,
    count() AS orders,
    orders / sum(count()) OVER () AS order_share,
    sum(total_minor) AS given_up_minor
FROM order_events FINAL
PREWHERE type = 'OrderCancellationRequested'
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY reason, status_before, currency
ORDER BY reason, status_before, currency
