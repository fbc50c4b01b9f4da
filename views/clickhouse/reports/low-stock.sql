-- title: Low stock history
-- question: When did stock fall to its threshold, and when did it come back from nothing? Each crossing is a row, the newest first.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: product text "" "only this product; empty: each"
-- param: limit number 1000 1..10000 "how many, the newest first"
-- chart: none
SELECT
    a.at AS at,
    a.product_id AS product_id,
    p.name AS name,
    p.category AS category,
    if(a.type = 'InventoryLow', 'LOW', 'BACK_IN_STOCK') AS event,
    a.available AS available_units, -- over all locations
    if(a.type = 'InventoryLow', a.threshold, NULL) AS threshold_units
FROM
(
    SELECT at, product_id, version, ordinal, type, available, threshold
    FROM stock_alerts FINAL
    WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
        AND ({product:String} = '' OR product_id = {product:String})
    ORDER BY at DESC, product_id, version DESC, ordinal DESC
    LIMIT {limit:Int64}
) AS a
LEFT JOIN (SELECT product_id, name, category FROM products FINAL WHERE tenant = {tenant:String}) AS p ON p.product_id = a.product_id
ORDER BY at DESC, product_id, a.version DESC, a.ordinal DESC
