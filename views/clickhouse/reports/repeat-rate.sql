-- title: Repeat rate
-- question: How many customers buy again? Counted are known customers (no guests) by the number of their orders that were placed in the span and stand; 10 is ten or more. The repeat rate is
-- question: the share of those with two or more: 1 less the share of the first row.
-- param: from time -365d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- chart: bar x=orders_each y=customers
SELECT
    least(n, 10) AS orders_each,
    count() AS customers,
    customers / sum(count()) OVER () AS customer_share,
    sum(n) AS orders
FROM
(
    SELECT count() AS n
    FROM orders_now FINAL
    WHERE tenant = {tenant:String} AND placed_at >= {from:DateTime64(3, 'UTC')} AND placed_at < {to:DateTime64(3, 'UTC')} AND status IN ('CONFIRMED', 'COMPLETED', 'CLOSED') AND customer_id != ''
    GROUP BY sipHash64(customer_id) -- eight bytes, for speed: of a million customers two share one with a chance of 3 in 100 million
)
GROUP BY orders_each
ORDER BY orders_each
