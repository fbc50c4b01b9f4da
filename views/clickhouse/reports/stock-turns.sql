-- title: Stock turns
-- question: How often does the stock of a product turn over? Taken are units that were reserved for orders less those that came back; the average is over the span's time, of units
-- question: on hand that are promised to nobody, over all locations. Turns are taken by average; without stock there are none.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: limit number 100 1..10000 "how many products, the fastest first"
-- chart: bar x=product_id y=turns_a_year
SELECT
    m.product_id AS product_id,
    p.name AS name,
    p.category AS category,
    taken_units,
    average_units,
    if(average_units > 0, taken_units / average_units, NULL) AS turns,
    turns * 365 * 86400000 / span_ms AS turns_a_year,
    free_units
FROM
(
    SELECT
        product_id,
        dateDiff('millisecond', {from:DateTime64(3, 'UTC')}, {to:DateTime64(3, 'UTC')}) AS span_ms,
        sum(taken) AS taken_units,
        sum(free) AS free_units, -- at the end of the span
        round(free_units - sum(area) / span_ms, 2) AS average_units
    FROM
    (
        SELECT
            product_id,
            argMax(on_hand - reserved, version * 65536 + ordinal) AS free, -- the last: versions grow, and within a step ordinals
            sumIf(multiIf(movement = 'RESERVED', quantity, movement = 'RELEASED', -quantity, 0), at >= {from:DateTime64(3, 'UTC')}) AS taken,
            -- A change at an instant was missing from the span's beginning to it: free less these areas is the average, without looking at the level between.
            sumIf(toFloat64(multiIf(movement = 'RESERVED', -quantity, movement = 'SHIPPED', 0, quantity)) * dateDiff('millisecond', {from:DateTime64(3, 'UTC')}, at), at >= {from:DateTime64(3, 'UTC')}) AS area
        FROM stock_movements FINAL
        WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')}
        GROUP BY product_id, location_id
    )
    GROUP BY product_id
) AS m
LEFT JOIN (SELECT product_id, name, category FROM products FINAL WHERE tenant = {tenant:String}) AS p ON p.product_id = m.product_id
ORDER BY turns DESC NULLS LAST, product_id
LIMIT {limit:Int64}
