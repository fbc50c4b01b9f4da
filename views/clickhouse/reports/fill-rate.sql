-- title: Fill rate
-- question: How much of what is ordered can be delivered? Counted are orders by the time of their placing: their lines and units as wanted, and those of them that are confirmed until now.
-- question: An order is confirmed whole or not at all, so a refusal for payment counts here too.
-- param: from time -30d/d "first instant of the span"
-- param: to time now "first instant behind the span"
-- param: granularity choice day hour,day,month "length of a period"
-- chart: line x=period y=order_fill_share,line_fill_share,unit_fill_share
SELECT
    toDateTime(date_trunc({granularity:String}, placed_at), 'UTC') AS period, -- its first instant
    countIf(type = 'OrderCreated') AS orders,
    countIf(type = 'OrderConfirmed') / orders AS order_fill_share,
    sumIf(lines, type = 'OrderCreated') AS wanted_lines,
    sumIf(lines, type = 'OrderConfirmed') AS filled_lines,
    filled_lines / wanted_lines AS line_fill_share,
    sumIf(units, type = 'OrderCreated') AS wanted_units,
    sumIf(units, type = 'OrderConfirmed') AS filled_units,
    filled_units / wanted_units AS unit_fill_share
FROM order_events FINAL
PREWHERE type IN ('OrderCreated', 'OrderConfirmed')
WHERE tenant = {tenant:String} AND at >= {from:DateTime64(3, 'UTC')} AND placed_at >= {from:DateTime64(3, 'UTC')} AND placed_at < {to:DateTime64(3, 'UTC')}
GROUP BY period
ORDER BY period
