-- Fills the tables of facts with a shop of so many order lines, as its sink would: roughly in the order of time, as eight partitions of Kafka are read, in blocks of about
-- 50,000 rows, an order's later steps among the first steps of others. The same parameters always make the same rows.
--
--   {lines:UInt64}   lines wanted; orders are 20 for 23 of them
--   {to:DateTime64(3, 'UTC')}   end of the 30 days that they are placed in, more by day than by night
--   {tenant:String}  whose they are
--
-- Of 1000 orders 925 are confirmed and stay so, 25 are confirmed and cancelled six hours later, 30 find no stock, 15 are declined, 3 expire after a quarter of an hour and 2 are
-- cancelled before they are decided. 4000 products, of which a tenth takes half of the sales; 12 countries; 3 currencies; about two orders out of three have one of
-- lines/5 customers. Statements end with a semicolon at the end of a line.

-- A row a step of an order: which order (i), what happens to it (step) and when (at), and the order's own properties.
CREATE OR REPLACE VIEW bench_steps AS
WITH
    toInt64(intDiv({lines:UInt64} * 20, 23)) AS orders,
    30 * 86400000 AS span,
    {to:DateTime64(3, 'UTC')} AS end,
    (n -> cityHash64(n, 'fate') % 1000) AS fate_of,
    (n -> multiIf(fate_of(n) < 925, 'KEPT', fate_of(n) < 950, 'RETURNED', fate_of(n) < 980, 'NO_STOCK', fate_of(n) < 995, 'DECLINED', fate_of(n) < 998, 'EXPIRED', 'DROPPED')) AS fate_name,
    intDiv(orders, 960) * 8 AS six_hours, -- in orders of the same partition
    intDiv(orders, 23040) * 8 AS quarter_hour
SELECT
    s.1 AS i,
    s.2 AS step,
    fate_name(i) AS fate,
    end - toIntervalMillisecond(toInt64(span - span * (i / orders) - span * 0.8 / (60 * pi()) * sin(60 * pi() * i / orders))) AS placed_at,
    cityHash64(i, 'time') AS clock,
    placed_at + toIntervalMillisecond(multiIf(
        step = 'CREATED', 0,
        step = 'DECIDED' AND fate = 'EXPIRED', 900000,
        step = 'DECIDED', 4 + clock % 40 + if(clock % 100 = 0, clock % 5000, 0),
        fate = 'DROPPED', if(step = 'CANCELLING', 3, 9),
        if(step = 'CANCELLING', 21600000, 21600080))) AS at,
    multiIf(step = 'CREATED', 1, step = 'DECIDED', 4, step = 'CANCELLING', 5, 8) AS version,
    'ord_' || lower(substring(hex(sipHash128(i, 'order')), 1, 30)) AS order_id,
    if(cityHash64(i, 'guest') % 3 = 0, '', 'cus_' || lower(substring(hex(sipHash128(toUInt64(pow(cityHash64(i, 'buyer') % 1000003 / 1000003, 2) * {lines:UInt64} / 5), 'buyer')), 1, 32))) AS customer_id,
    ['DE', 'DE', 'DE', 'DE', 'GB', 'GB', 'FR', 'FR', 'NL', 'IT', 'ES', 'AT', 'SE', 'DK', 'PL', 'JP'][1 + cityHash64(i, 'country') % 16] AS country,
    multiIf(country = 'GB', 'GBP', country = 'JP', 'JPY', 'EUR') AS currency,
    ['CARD', 'CARD', 'CARD', 'PAYPAL', 'INVOICE'][1 + cityHash64(i, 'method') % 5] AS method,
    if(method = 'PAYPAL', 'paypal', 'sandbox') AS provider,
    -- (line, product, quantity, unit price)
    arrayMap(l -> (l,
        toInt64(4000 * pow(cityHash64(i, l, 'product') % 1000003 / 1000003, 3)) AS p,
        toInt64(1 + cityHash64(i, l, 'quantity') % 3),
        toInt64(199 + cityHash64(p, 'price') % 20000)), range(toInt64(1), toInt64(2 + multiIf(i % 20 = 18, 1, i % 20 = 19, 2, 0)))) AS lines,
    toInt64(arraySum(l -> l.3, lines)) AS units,
    toInt64(arraySum(l -> l.3 * l.4, lines)) AS total
FROM
(
    SELECT arrayJoin(arrayConcat(
        [(n, 'CREATED')],
        multiIf(fate_name(n) = 'EXPIRED', [], fate_name(n) = 'DROPPED', [(n, 'CANCELLING'), (n, 'CANCELLED')], [(n, 'DECIDED')]),
        if(n >= quarter_hour AND fate_name(n - quarter_hour) = 'EXPIRED', [(n - quarter_hour, 'DECIDED')], []),
        if(n >= six_hours AND fate_name(n - six_hours) = 'RETURNED', [(n - six_hours, 'CANCELLING'), (n - six_hours, 'CANCELLED')], []))) AS s
    FROM
    (
        SELECT toInt64(intDiv(number, 40000) * 40000 + number % 5000 * 8 + intDiv(number % 40000, 5000)) AS n
        FROM numbers(intDiv(orders, 40000) * 40000 + 40000)
        WHERE n < orders
    )
);

INSERT INTO products (tenant, product_id, version, at, name, category, price_minor, currency, _topic, _partition, _offset)
SELECT {tenant:String}, 'sku-' || leftPad(toString(number), 6, '0'), 1, {to:DateTime64(3, 'UTC')} - INTERVAL 31 DAY, 'Article ' || toString(number),
    ['Books', 'Garden', 'Kitchen', 'Toys', 'Tools', 'Music', 'Sports', 'Paper'][1 + cityHash64(number) % 8], 199 + cityHash64(number, 'price') % 20000, 'EUR', 'oms.product.events', 0, number
FROM numbers(4000);

-- What each product opens with.
INSERT INTO stock_movements (tenant, at, product_id, version, ordinal, entry, sequence, movement, order_id, line, location_id, quantity, on_hand, reserved, _topic, _partition, _offset)
SELECT {tenant:String}, {to:DateTime64(3, 'UTC')} - INTERVAL 31 DAY, 'sku-' || leftPad(toString(number), 6, '0'), 2, 0, 1, 1, 'ADJUSTED', '', 0, ['main', 'main', 'main', 'north'][1 + cityHash64(toInt64(number)) % 4], {lines:UInt64}, {lines:UInt64}, 0, 'oms.inventory.events', 0, number
FROM numbers(4000);

INSERT INTO order_events (tenant, at, order_id, version, ordinal, sequence, type, placed_at, customer_id, country, currency, payment_method, lines, units, total_minor, reason, status_before, _topic, _partition, _offset)
SELECT {tenant:String}, at, order_id, version, 0, if(version = 1, 1, if(version = 8, 4, version - 2)),
    multiIf(step = 'CREATED', 'OrderCreated', step = 'CANCELLING', 'OrderCancellationRequested', step = 'CANCELLED', 'OrderCancelled',
        fate = 'EXPIRED', 'OrderExpired', fate IN ('NO_STOCK', 'DECLINED'), 'OrderRejected', 'OrderConfirmed') AS type,
    placed_at, if(step = 'CREATED', customer_id, ''), country, if(type IN ('OrderCreated', 'OrderConfirmed', 'OrderCancellationRequested'), currency, ''), if(step = 'CREATED', method, ''),
    multiIf(type IN ('OrderCreated', 'OrderConfirmed'), length(lines), fate = 'NO_STOCK', 1, 0),
    multiIf(type IN ('OrderCreated', 'OrderConfirmed'), units, fate = 'NO_STOCK', lines[1].3, 0),
    if(type = 'OrderConfirmed' OR step = 'CANCELLING' AND fate = 'RETURNED', total, 0),
    multiIf(type = 'OrderExpired', 'EXPIRED', type = 'OrderRejected', if(fate = 'NO_STOCK', 'OUT_OF_STOCK', 'PAYMENT_DECLINED'), step IN ('CANCELLING', 'CANCELLED'), 'CANCELLED_BY_CUSTOMER', 'NONE'),
    multiIf(step != 'CANCELLING', '', fate = 'DROPPED', 'PENDING', 'CONFIRMED'), 'oms.order.events', i % 8, i * 16 + version
FROM bench_steps(lines = {lines:UInt64}, to = {to:DateTime64(3, 'UTC')})
SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 20000, min_insert_block_size_rows = 50000, min_insert_block_size_bytes = 0;

INSERT INTO order_lines (tenant, at, order_id, version, ordinal, line, type, placed_at, product_id, country, currency, quantity, unit_price_minor, total_minor, locations, reason, available, _topic, _partition, _offset)
SELECT {tenant:String}, at, order_id, version, 0, l.1,
    multiIf(step = 'CREATED', 'OrderCreated', fate = 'NO_STOCK', 'OrderRejected', 'OrderConfirmed') AS type,
    placed_at, 'sku-' || leftPad(toString(l.2), 6, '0'), country, if(type = 'OrderRejected', '', currency), l.3,
    if(type = 'OrderConfirmed', l.4, 0), if(type = 'OrderConfirmed', l.3 * l.4, 0), if(type = 'OrderConfirmed', 1 + (cityHash64(i, 'split') % 50 = 0), 0),
    if(type = 'OrderRejected', 'OUT_OF_STOCK', 'NONE'), 0, 'oms.order.events', i % 8, i * 16 + version
FROM bench_steps(lines = {lines:UInt64}, to = {to:DateTime64(3, 'UTC')})
ARRAY JOIN if(step = 'CREATED' OR step = 'DECIDED' AND fate IN ('KEPT', 'RETURNED'), lines, if(step = 'DECIDED' AND fate = 'NO_STOCK', [lines[1]], [])) AS l
SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 20000, min_insert_block_size_rows = 50000, min_insert_block_size_bytes = 0;

INSERT INTO payments (tenant, at, order_id, version, ordinal, sequence, operation, outcome, method, provider, currency, amount_minor, provider_ref, reason, _topic, _partition, _offset)
SELECT {tenant:String}, at, order_id, version - p.4, 0, p.3, p.1, p.2, method, provider, currency, total, 'psp_' || lower(hex(cityHash64(i, 'ref'))),
    if(p.2 = 'DECLINED', ['insufficient_funds', 'do_not_honour', 'expired_card'][1 + cityHash64(i, 'why') % 3], ''), 'oms.payment.events', i % 8, i * 16 + p.3
FROM bench_steps(lines = {lines:UInt64}, to = {to:DateTime64(3, 'UTC')})
ARRAY JOIN multiIf(
    step = 'DECIDED' AND fate IN ('KEPT', 'RETURNED'), [('AUTHORIZE', 'AUTHORIZED', 1, 1), ('CAPTURE', 'CAPTURED', 2, 0)],
    step = 'DECIDED' AND fate = 'DECLINED', [('AUTHORIZE', 'DECLINED', 1, 1)],
    step = 'CANCELLED' AND fate = 'RETURNED', [('REFUND', 'REFUNDED', 3, 1)], []) AS p
SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 20000, min_insert_block_size_rows = 50000, min_insert_block_size_bytes = 0;

INSERT INTO stock_movements (tenant, at, product_id, version, ordinal, entry, sequence, movement, order_id, line, location_id, quantity, on_hand, reserved, _topic, _partition, _offset)
SELECT {tenant:String}, at, 'sku-' || leftPad(toString(l.2), 6, '0'), 3 + i * 2 + (step = 'CANCELLED'), 0, 1, 2 + i * 2 + (step = 'CANCELLED'),
    if(step = 'DECIDED', 'RESERVED', 'RELEASED'), order_id, l.1, ['main', 'main', 'main', 'north'][1 + cityHash64(l.2) % 4], l.3, {lines:UInt64}, intDiv(i, 4000), 'oms.inventory.events', i % 8, i * 16 + l.1 * 2 + (step = 'CANCELLED')
FROM bench_steps(lines = {lines:UInt64}, to = {to:DateTime64(3, 'UTC')})
ARRAY JOIN if(step = 'DECIDED' AND fate IN ('KEPT', 'RETURNED') OR step = 'CANCELLED' AND fate = 'RETURNED', lines, []) AS l
SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 20000, min_insert_block_size_rows = 50000, min_insert_block_size_bytes = 0;

INSERT INTO stock_alerts (tenant, at, product_id, version, ordinal, type, available, threshold, _topic, _partition, _offset)
SELECT {tenant:String}, at, 'sku-' || leftPad(toString(lines[1].2), 6, '0'), 3 + i * 2, 1, if(i % 2 = 0, 'InventoryLow', 'BackInStock'), if(i % 2 = 0, 5, 100), if(i % 2 = 0, 5, 0), 'oms.inventory.events', i % 8, i
FROM bench_steps(lines = {lines:UInt64}, to = {to:DateTime64(3, 'UTC')})
WHERE step = 'DECIDED' AND fate = 'NO_STOCK'
SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 20000, min_insert_block_size_rows = 50000, min_insert_block_size_bytes = 0;

INSERT INTO orders_now (tenant, placed_at, order_id, version, status, payment_status, fulfillment_status, customer_id, country, currency, payment_method, lines, units, total_minor, authorized_minor, captured_minor, refunded_minor, reason, decided_at, updated_at, _topic, _partition, _offset)
WITH step != 'CREATED' AND fate IN ('KEPT', 'RETURNED') AS confirmed
SELECT {tenant:String}, placed_at, order_id, version,
    multiIf(step = 'CREATED', 'PENDING', step != 'DECIDED', step, fate = 'EXPIRED', 'EXPIRED', fate IN ('NO_STOCK', 'DECLINED'), 'REJECTED', 'CONFIRMED'),
    multiIf(NOT confirmed, 'NONE', step = 'CANCELLED', 'REFUNDED', 'PAID'), 'UNFULFILLED', customer_id, country, currency, method, length(lines), units,
    if(confirmed, total, 0), 0, if(confirmed, total, 0), if(confirmed AND step = 'CANCELLED', total, 0),
    multiIf(step = 'CREATED' OR step = 'DECIDED' AND confirmed, 'NONE', step IN ('CANCELLING', 'CANCELLED'), 'CANCELLED_BY_CUSTOMER', fate = 'EXPIRED', 'EXPIRED', fate = 'NO_STOCK', 'OUT_OF_STOCK', 'PAYMENT_DECLINED'),
    multiIf(step = 'CREATED', toDateTime64(0, 3, 'UTC'), fate = 'RETURNED' AND step IN ('CANCELLING', 'CANCELLED'), placed_at + toIntervalMillisecond(4 + clock % 40 + if(clock % 100 = 0, clock % 5000, 0)), at),
    at, 'oms.orders', i % 8, i * 8 + version
FROM bench_steps(lines = {lines:UInt64}, to = {to:DateTime64(3, 'UTC')})
SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 20000, min_insert_block_size_rows = 50000, min_insert_block_size_bytes = 0;

DROP VIEW bench_steps;
