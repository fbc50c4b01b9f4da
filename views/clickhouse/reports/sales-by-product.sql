-- title: Sales by product
-- question: Which products bring how much money? Counted are lines of confirmed orders at the time of their confirmation, ordered by amount within period and currency;
-- question: nothing is taken off for what is cancelled or refunded later.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: granularity choice all all,hour,day,month "length of a period; all: the span as one"
-- param: limit number 100 1..10000 "products of each period and currency, the largest first"
-- chart: bar x=product_id y=sales_minor series=currency
SELECT
    period,
    currency,
    sold.product_id AS product_id,
    p.name AS name, -- the newest, empty where the catalogue does not know it
    p.category AS category,
    lines,
    units,
    sales_minor
FROM
(
    SELECT
        if({granularity:String} = 'all', toDateTime({from:DateTime64(3, 'UTC')}), toDateTime(date_trunc(replaceOne({granularity:String}, 'all', 'month'), at), 'UTC')) AS period, -- its first instant
        currency,
        product_id,
        count() AS lines,
        sum(quantity) AS units,
        sum(total_minor) AS sales_minor
    FROM order_lines FINAL
    PREWHERE type = 'OrderConfirmed'
    WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
    GROUP BY period, currency, product_id
    ORDER BY period, currency, sales_minor DESC, product_id
    LIMIT {limit:Int64} BY period, currency
) AS sold
LEFT JOIN (SELECT product_id, name, category FROM products FINAL WHERE tenant = {tenant:String}) AS p ON p.product_id = sold.product_id
ORDER BY period, currency, sales_minor DESC, product_id
