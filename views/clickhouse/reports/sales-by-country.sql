-- title: Sales by country
-- question: Where do the goods go? Counted are confirmed orders at the time of their confirmation, by the country of the shipping address (ISO 3166; empty: not known); nothing
-- question: is taken off for what is cancelled or refunded later.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: granularity choice all all,hour,day,month "length of a period; all: the span as one"
-- chart: bar x=country y=sales_minor series=currency
SELECT
    if({granularity:String} = 'all', toDateTime({from:DateTime64(3, 'UTC')}), toDateTime(date_trunc(replaceOne({granularity:String}, 'all', 'month'), at), 'UTC')) AS period, -- its first instant
    currency,
    country,
    count() AS orders,
    sum(lines) AS lines,
    sum(units) AS units,
    sum(total_minor) AS sales_minor
FROM order_events FINAL
PREWHERE type = 'OrderConfirmed'
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY period, currency, country
ORDER BY period, currency, sales_minor DESC, country
