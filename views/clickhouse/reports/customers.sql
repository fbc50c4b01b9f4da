-- title: New and returning customers
-- question: How many customers buy for the first time, and how many come back? Counted are known customers (no guests) with orders that stand, by the time of placing; a customer is
-- question: new in the period of the first such order ever, and returning in later ones.
-- param: from time -365d/d "first period is that of this instant"
-- param: to time now "first instant behind the span"
-- param: granularity choice month day,month "length of a period"
-- chart: bar x=period y=new_customers,returning_customers
SELECT
    toDateTime(visit.1, 'UTC') AS period, -- its first instant
    count() AS customers,
    countIf(visit.1 = first) AS new_customers,
    customers - new_customers AS returning_customers,
    returning_customers / customers AS returning_share,
    sum(visit.2) AS orders
FROM
(
    SELECT
        min(date_trunc({granularity:String}, placed_at)) AS first,
        sumMap([date_trunc({granularity:String}, placed_at)], [1]) AS visits -- orders in each period
    FROM orders_now FINAL
    WHERE tenant = {tenant:String} AND placed_at < {to:DateTime64(3, 'UTC')} AND status IN ('CONFIRMED', 'COMPLETED', 'CLOSED') AND customer_id != ''
    GROUP BY customer_id
)
ARRAY JOIN arrayZip(visits.1, visits.2) AS visit
WHERE toDateTime(visit.1, 'UTC') >= toDateTime(date_trunc({granularity:String}, {from:DateTime64(3, 'UTC')}), 'UTC')
GROUP BY period
ORDER BY period
