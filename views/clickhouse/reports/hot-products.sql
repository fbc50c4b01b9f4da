-- title: Hottest products
-- question: For which products do buyers crowd? Counted are lines of orders as they are placed, refused later or not; the peak is the minute (UTC) with the most of them, the first
-- question: of several. The share is of all lines.
-- param: from time -24h "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: limit number 20 1..10000 "how many products, the highest peak first"
-- chart: bar x=product_id y=peak_lines,lines
SELECT
    hot.product_id AS product_id,
    p.name AS name,
    p.category AS category,
    peak_lines,
    peak_at,
    lines,
    line_share,
    units
FROM
(
    SELECT
        product_id,
        max(n) AS peak_lines,
        argMin(minute, (-n, minute)) AS peak_at,
        sum(n) AS lines,
        lines / sum(sum(n)) OVER () AS line_share,
        sum(minute_units) AS units
    FROM
    (
        SELECT
            product_id,
            toStartOfMinute(at) AS minute,
            toInt64(count()) AS n,
            sum(quantity) AS minute_units
        FROM order_lines FINAL
        PREWHERE type = 'OrderCreated'
        WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
        GROUP BY product_id, minute
    )
    GROUP BY product_id
    ORDER BY peak_lines DESC, lines DESC, product_id
    LIMIT {limit:Int64}
) AS hot
LEFT JOIN (SELECT product_id, name, category FROM products FINAL WHERE tenant = {tenant:String}) AS p ON p.product_id = hot.product_id
ORDER BY peak_lines DESC, lines DESC, product_id
