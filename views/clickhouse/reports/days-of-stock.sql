-- title: Days of stock
-- question: How long will the stock last if it is sold as in the span? Available are units on hand less those promised and those kept back, at the end of the span, over all locations;
-- question: taken are units reserved for orders less those that came back. Products of which nothing was taken have no number of days and stand last.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: limit number 100 1..10000 "how many products, those that run out first"
-- chart: bar x=product_id y=days
SELECT
    m.product_id AS product_id,
    p.name AS name,
    p.category AS category,
    available_units,
    incoming_units,
    taken_units,
    taken_units * 86400000 / dateDiff('millisecond', {from:DateTime64(3, 'UTC')}, {to:DateTime64(3, 'UTC')}) AS taken_units_a_day,
    if(taken_units > 0, available_units / taken_units_a_day, NULL) AS days
FROM
(
    SELECT
        product_id,
        sum(greatest(free, 0)) AS available_units,
        sum(incoming) AS incoming_units,
        sum(taken) AS taken_units
    FROM
    (
        SELECT
            product_id,
            argMax(on_hand - reserved - safety_stock, version * 65536 + ordinal) AS free, -- the last: versions grow, and within a step ordinals
            argMax(stock_movements.incoming, version * 65536 + ordinal) AS incoming,
            sumIf(multiIf(movement = 'RESERVED', quantity, movement = 'RELEASED', -quantity, 0), at >= {from:DateTime64(3, 'UTC')}) AS taken
        FROM stock_movements FINAL
        WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')}
        GROUP BY product_id, location_id
    )
    GROUP BY product_id
) AS m
LEFT JOIN (SELECT product_id, name, category FROM products FINAL WHERE tenant = {tenant:String}) AS p ON p.product_id = m.product_id
ORDER BY days ASC NULLS LAST, product_id
LIMIT {limit:Int64}
