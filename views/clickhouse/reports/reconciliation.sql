-- title: Revenue reconciliation
-- question: Does the money agree with the orders? By day (UTC) and currency: totals of orders confirmed, money captured and refunded by the providers, each at its own time. Net is captured
-- question: less refunded, the difference is confirmed less net: what is still held or owed, was refunded for cancelled orders, or needs a look.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: line x=day y=confirmed_minor,net_minor series=currency
SELECT
    day,
    currency,
    sum(confirmed) AS confirmed_minor,
    sum(given_up) AS cancelled_minor, -- totals of confirmed orders whose cancellation was asked for that day
    sum(captured) AS captured_minor,
    sum(refunded) AS refunded_minor,
    captured_minor - refunded_minor AS net_minor,
    confirmed_minor - net_minor AS difference_minor
FROM
(
    SELECT
        toDate(at) AS day,
        currency,
        sumIf(total_minor, type = 'OrderConfirmed') AS confirmed,
        sumIf(total_minor, type = 'OrderCancellationRequested') AS given_up,
        0 AS captured,
        0 AS refunded
    FROM order_events FINAL
    PREWHERE type = 'OrderConfirmed' OR type = 'OrderCancellationRequested' AND status_before = 'CONFIRMED'
    WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
    GROUP BY day, currency
    UNION ALL
    SELECT
        toDate(at) AS day,
        currency,
        0,
        0,
        sumIf(amount_minor, outcome = 'CAPTURED'),
        sumIf(amount_minor, outcome = 'REFUNDED')
    FROM payments FINAL
    PREWHERE outcome IN ('CAPTURED', 'REFUNDED')
    WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
    GROUP BY day, currency
)
GROUP BY day, currency
ORDER BY day, currency
