-- title: Worst sellers
-- question: Which products of the catalogue sell least, or not at all? Counted are units on lines of confirmed orders at the time of their confirmation; products that were added after
-- question: the span are left out.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: limit number 20 1..10000 "how many products"
-- chart: none
SELECT
    p.product_id AS product_id,
    p.name AS name,
    p.category AS category,
    p.at AS added_at,
    sold.units AS units,
    sold.lines AS lines,
    if(lines = 0, NULL, sold.last_at) AS last_sold_at -- within the span
FROM (SELECT product_id, name, category, at FROM products FINAL WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')}) AS p
LEFT JOIN
(
    SELECT
        product_id,
        sum(quantity) AS units,
        count() AS lines,
        max(at) AS last_at
    FROM order_lines FINAL
    PREWHERE type = 'OrderConfirmed'
    WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
    GROUP BY product_id
) AS sold ON sold.product_id = p.product_id
ORDER BY units, product_id
LIMIT {limit:Int64}
