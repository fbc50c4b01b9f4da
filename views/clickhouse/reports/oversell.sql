-- title: Oversell attempts refused
-- question: Which products were asked for beyond what could be sold? Counted are lines that were refused because the stock did not suffice, at the time of the refusal; short are the units
-- question: beyond what could have been had.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: limit number 100 1..10000 "how many products, the most refused first"
-- chart: bar x=product_id y=short_units
SELECT
    refused.product_id AS product_id,
    p.name AS name,
    p.category AS category,
    lines,
    wanted_units,
    short_units,
    first_at,
    last_at
FROM
(
    SELECT
        product_id,
        count() AS lines,
        sum(quantity) AS wanted_units,
        sum(greatest(quantity - available, 0)) AS short_units,
        min(at) AS first_at,
        max(at) AS last_at
    FROM order_lines FINAL
    PREWHERE type = 'OrderRejected' AND reason = 'OUT_OF_STOCK'
    WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
    GROUP BY product_id
    ORDER BY lines DESC, product_id
    LIMIT {limit:Int64}
) AS refused
LEFT JOIN (SELECT product_id, name, category FROM products FINAL WHERE tenant = {tenant:String}) AS p ON p.product_id = refused.product_id
ORDER BY lines DESC, product_id
