-- title: Sales by category
-- question: Which categories bring how much money? Counted are lines of confirmed orders at the time of their confirmation, by the category that the product has now; nothing is
-- question: taken off for what is cancelled or refunded later.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: granularity choice all all,hour,day,month "length of a period; all: the span as one"
-- chart: bar x=category y=sales_minor series=currency
SELECT
    period,
    currency,
    p.category AS category, -- empty where it has none
    sum(sold.lines) AS lines,
    sum(sold.units) AS units,
    sum(sold.sales_minor) AS sales_minor
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
) AS sold
LEFT JOIN (SELECT product_id, name, category FROM products FINAL WHERE tenant = {tenant:String}) AS p ON p.product_id = sold.product_id
GROUP BY period, currency, category
ORDER BY period, currency, sales_minor DESC, category
