-- title: Freshness
-- question: How new is what the tables hold? For each table the time of the last fact before the instant that is asked for, and how long before it that is. A table may be old because nothing
-- question: happened.
-- param: to time now "the instant that is asked for"
-- chart: none
SELECT
    table,
    if(last = toDateTime64(0, 3, 'UTC'), NULL, last) AS last_at, -- empty where there is nothing
    dateDiff('millisecond', last_at, {to:DateTime64(3, 'UTC')}) AS age_ms
FROM
(
    -- A row that stands there twice is no newer, so nothing is read with FINAL, and facts are kept in the order of time, so that their last one is found at once.
    SELECT 'order_events' AS table, (SELECT max(at) FROM (SELECT at FROM order_events WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')} ORDER BY tenant DESC, at DESC LIMIT 1)) AS last
    UNION ALL
    SELECT 'order_lines' AS table, (SELECT max(at) FROM (SELECT at FROM order_lines WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')} ORDER BY tenant DESC, at DESC LIMIT 1)) AS last
    UNION ALL
    SELECT 'payments' AS table, (SELECT max(at) FROM (SELECT at FROM payments WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')} ORDER BY tenant DESC, at DESC LIMIT 1)) AS last
    UNION ALL
    SELECT 'stock_alerts' AS table, (SELECT max(at) FROM (SELECT at FROM stock_alerts WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')} ORDER BY tenant DESC, at DESC LIMIT 1)) AS last
    UNION ALL
    SELECT 'stock_movements' AS table, (SELECT max(at) FROM (SELECT at FROM stock_movements WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')} ORDER BY tenant DESC, at DESC LIMIT 1)) AS last
    UNION ALL
    SELECT 'orders_now', max(updated_at) FROM orders_now WHERE tenant = {tenant:String} AND updated_at < {to:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT 'products', max(at) FROM products WHERE tenant = {tenant:String} AND at < {to:DateTime64(3, 'UTC')}
)
ORDER BY table
