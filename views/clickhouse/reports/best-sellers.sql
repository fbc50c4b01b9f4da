-- title: Best sellers
-- question: Which products sell most? Counted are units on lines of confirmed orders at the time of their confirmation, over all currencies; the share is of all units sold.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: limit number 20 1..10000 "how many products"
-- chart: bar x=product_id y=units
SELECT
    rank,
    sold.product_id AS product_id,
    p.name AS name,
    p.category AS category,
    units,
    unit_share,
    lines
FROM
(
    SELECT
        product_id,
        sum(quantity) AS units,
        count() AS lines,
        units / sum(sum(quantity)) OVER () AS unit_share,
        row_number() OVER (ORDER BY sum(quantity) DESC, product_id) AS rank
    FROM order_lines FINAL
    PREWHERE type = 'OrderConfirmed'
    WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
    GROUP BY product_id
    ORDER BY rank
    LIMIT {limit:Int64}
) AS sold
LEFT JOIN (SELECT product_id, name, category FROM products FINAL WHERE tenant = {tenant:String}) AS p ON p.product_id = sold.product_id
ORDER BY rank
