-- +goose Up
-- Tables of facts: one row a fact (or a line or booking of one), as the topics say it, for ever.
--
-- ORDER BY begins with the time because every report asks for a span of it: whole granules are skipped, and parts, which are inserted in the order of time, hardly
-- overlap, so that FINAL has little to merge. The place of the record makes the key unique: should a record come twice, ReplacingMergeTree keeps one row, and FINAL
-- shows one. Numbers, and not order_id, because FINAL has to read the whole key: that is a third of its time.
-- The deduplication window lets an insert that is repeated with its token vanish at once; see sink_offsets.
-- Amounts are minor units of the row's currency. Enum where the sink writes the words itself, LowCardinality where a schema may bring a new one.

CREATE TABLE IF NOT EXISTS order_events (
    tenant          LowCardinality(String) COMMENT 'the shop it belongs to',
    at              DateTime64(3, 'UTC') COMMENT 'time of the step, UTC' CODEC(Delta, ZSTD),
    order_id        String COMMENT 'which order' CODEC(ZSTD),
    version         Int64 COMMENT 'version of the order''s row after the step' CODEC(T64, ZSTD),
    ordinal         Int64 COMMENT 'place of the fact within its step, from 0' CODEC(T64, ZSTD),
    sequence        Int64 COMMENT 'number of the fact per order and topic, gap-free from 1' CODEC(T64, ZSTD),
    type            Enum8('OrderCreated' = 1, 'OrderConfirmed' = 2, 'OrderRejected' = 3, 'OrderExpired' = 4, 'OrderCancellationRequested' = 5, 'OrderCancelled' = 6) COMMENT 'what happened' CODEC(ZSTD),
    placed_at       DateTime64(3, 'UTC') COMMENT 'when the order was accepted; 1970: not known' CODEC(Delta, ZSTD),
    customer_id     String COMMENT 'buyer; empty: guest. OrderCreated only' CODEC(ZSTD),
    country         LowCardinality(String) COMMENT 'country that is shipped to, ISO 3166 alpha-2; empty: not known',
    currency        LowCardinality(String) COMMENT 'ISO 4217; empty where the fact has no amount',
    payment_method  LowCardinality(String) COMMENT 'how the buyer pays. OrderCreated only',
    lines           Int64 COMMENT 'number of lines: wanted (OrderCreated), confirmed, or refused' CODEC(T64, ZSTD),
    units           Int64 COMMENT 'units of those lines' CODEC(T64, ZSTD),
    total_minor     Int64 COMMENT 'Σ lines, minor units: of OrderConfirmed, and what OrderCancellationRequested gives up' CODEC(T64, ZSTD),
    reason          LowCardinality(String) COMMENT 'why it was refused or ended: the first in order of precedence; NONE otherwise',
    status_before   LowCardinality(String) COMMENT 'where the order was. OrderCancellationRequested only',
    client_reference String COMMENT 'the shop''s own number. OrderCreated only' CODEC(ZSTD),
    _topic          LowCardinality(String) COMMENT 'topic of the record',
    _partition      Int64 COMMENT 'partition of the record' CODEC(T64, ZSTD),
    _offset         Int64 COMMENT 'offset of the record' CODEC(Delta, ZSTD)
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(at) ORDER BY (tenant, at, _partition, _offset)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'facts about orders, one row each';

CREATE TABLE IF NOT EXISTS order_lines (
    tenant          LowCardinality(String) COMMENT 'the shop it belongs to',
    at              DateTime64(3, 'UTC') COMMENT 'time of the step, UTC' CODEC(Delta, ZSTD),
    order_id        String COMMENT 'which order' CODEC(ZSTD),
    version         Int64 COMMENT 'version of the order''s row after the step' CODEC(T64, ZSTD),
    ordinal         Int64 COMMENT 'place of the fact within its step, from 0' CODEC(T64, ZSTD),
    line            Int64 COMMENT 'number of the line in its order, from 1' CODEC(T64, ZSTD),
    type            Enum8('OrderCreated' = 1, 'OrderConfirmed' = 2, 'OrderRejected' = 3) COMMENT 'wanted, confirmed, or refused' CODEC(ZSTD),
    placed_at       DateTime64(3, 'UTC') COMMENT 'when the order was accepted; 1970: not known' CODEC(Delta, ZSTD),
    product_id      LowCardinality(String) COMMENT 'what',
    country         LowCardinality(String) COMMENT 'country that is shipped to, ISO 3166 alpha-2; empty: not known',
    currency        LowCardinality(String) COMMENT 'ISO 4217; empty where the fact has no amount',
    quantity        Int64 COMMENT 'units' CODEC(T64, ZSTD),
    unit_price_minor Int64 COMMENT 'price of a unit, minor units. OrderConfirmed only' CODEC(T64, ZSTD),
    total_minor     Int64 COMMENT 'quantity × unit price, minor units. OrderConfirmed only' CODEC(T64, ZSTD),
    locations       Int64 COMMENT 'number of places that the units are held at; above 1: a split line. OrderConfirmed only' CODEC(T64, ZSTD),
    reason          LowCardinality(String) COMMENT 'why the line was refused; NONE otherwise',
    available       Int64 COMMENT 'units that could have been had. OrderRejected only' CODEC(T64, ZSTD),
    _topic          LowCardinality(String) COMMENT 'topic of the record',
    _partition      Int64 COMMENT 'partition of the record' CODEC(T64, ZSTD),
    _offset         Int64 COMMENT 'offset of the record' CODEC(Delta, ZSTD)
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(at) ORDER BY (tenant, at, _partition, _offset, line)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'lines of orders: a row when wanted (OrderCreated) and one when confirmed or refused';

CREATE TABLE IF NOT EXISTS payments (
    tenant          LowCardinality(String) COMMENT 'the shop it belongs to',
    at              DateTime64(3, 'UTC') COMMENT 'time of the step, UTC' CODEC(Delta, ZSTD),
    order_id        String COMMENT 'whose payment' CODEC(ZSTD),
    version         Int64 COMMENT 'version of the order''s row after the step' CODEC(T64, ZSTD),
    ordinal         Int64 COMMENT 'place of the fact within its step, from 0' CODEC(T64, ZSTD),
    sequence        Int64 COMMENT 'number of the fact per order and topic, gap-free from 1' CODEC(T64, ZSTD),
    operation       LowCardinality(String) COMMENT 'what the provider was asked: AUTHORIZE, CAPTURE, VOID, REFUND, RECONCILE or CANCEL',
    outcome         LowCardinality(String) COMMENT 'what it did: AUTHORIZED, CAPTURED, VOIDED, REFUNDED, DECLINED, …',
    method          LowCardinality(String) COMMENT 'how the buyer pays',
    provider        LowCardinality(String) COMMENT 'who was asked',
    currency        LowCardinality(String) COMMENT 'ISO 4217',
    amount_minor    Int64 COMMENT 'how much, minor units' CODEC(T64, ZSTD),
    provider_ref    String COMMENT 'the provider''s own number' CODEC(ZSTD),
    reason          LowCardinality(String) COMMENT 'the provider''s reason',
    _topic          LowCardinality(String) COMMENT 'topic of the record',
    _partition      Int64 COMMENT 'partition of the record' CODEC(T64, ZSTD),
    _offset         Int64 COMMENT 'offset of the record' CODEC(Delta, ZSTD)
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(at) ORDER BY (tenant, at, _partition, _offset)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'decisions of payment providers, one row each';

CREATE TABLE IF NOT EXISTS stock_movements (
    tenant          LowCardinality(String) COMMENT 'the shop it belongs to',
    at              DateTime64(3, 'UTC') COMMENT 'time of the step, UTC' CODEC(Delta, ZSTD),
    product_id      LowCardinality(String) COMMENT 'which product',
    version         Int64 COMMENT 'version of the product''s row after the step' CODEC(Delta, ZSTD),
    ordinal         Int64 COMMENT 'place of the fact within its step, from 0' CODEC(T64, ZSTD),
    entry           Int64 COMMENT 'number of the booking within the fact, from 1' CODEC(T64, ZSTD),
    sequence        Int64 COMMENT 'number of the fact per product and topic, gap-free from 1' CODEC(Delta, ZSTD),
    movement        LowCardinality(String) COMMENT 'ADJUSTED, RESERVED, RELEASED, RECEIVED, SHIPPED or RESTOCKED',
    order_id        String COMMENT 'for whom; empty: no order' CODEC(ZSTD),
    line            Int64 COMMENT 'line of the order; 0: no line' CODEC(T64, ZSTD),
    location_id     LowCardinality(String) COMMENT 'where',
    quantity        Int64 COMMENT 'units; what they change is named by the movement, negative only for ADJUSTED' CODEC(T64, ZSTD),
    on_hand         Int64 COMMENT 'units at the location after the movement' CODEC(T64, ZSTD),
    reserved        Int64 COMMENT 'units promised to orders there after the movement' CODEC(T64, ZSTD),
    safety_stock    Int64 COMMENT 'units there that are not sold' CODEC(T64, ZSTD),
    incoming        Int64 COMMENT 'units announced for the location' CODEC(T64, ZSTD),
    damaged         Int64 COMMENT 'units there that cannot be sold' CODEC(T64, ZSTD),
    reason          LowCardinality(String) COMMENT 'why, for adjustments',
    _topic          LowCardinality(String) COMMENT 'topic of the record',
    _partition      Int64 COMMENT 'partition of the record' CODEC(T64, ZSTD),
    _offset         Int64 COMMENT 'offset of the record' CODEC(Delta, ZSTD)
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(at) ORDER BY (tenant, at, _partition, _offset, entry)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'bookings of stock, one row each, with the level after the movement';

CREATE TABLE IF NOT EXISTS stock_alerts (
    tenant          LowCardinality(String) COMMENT 'the shop it belongs to',
    at              DateTime64(3, 'UTC') COMMENT 'time of the step, UTC' CODEC(Delta, ZSTD),
    product_id      LowCardinality(String) COMMENT 'which product',
    version         Int64 COMMENT 'version of the product''s row after the step' CODEC(Delta, ZSTD),
    ordinal         Int64 COMMENT 'place of the fact within its step, from 0' CODEC(T64, ZSTD),
    type            Enum8('InventoryLow' = 1, 'BackInStock' = 2) COMMENT 'what happened' CODEC(ZSTD),
    available       Int64 COMMENT 'units over all locations that could be sold' CODEC(T64, ZSTD),
    threshold       Int64 COMMENT 'the product''s threshold. InventoryLow only' CODEC(T64, ZSTD),
    _topic          LowCardinality(String) COMMENT 'topic of the record',
    _partition      Int64 COMMENT 'partition of the record' CODEC(T64, ZSTD),
    _offset         Int64 COMMENT 'offset of the record' CODEC(Delta, ZSTD)
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(at) ORDER BY (tenant, at, _partition, _offset)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'stock that fell to its threshold, or came back';

CREATE TABLE IF NOT EXISTS products (
    tenant          LowCardinality(String) COMMENT 'the shop it belongs to',
    product_id      String COMMENT 'which product' CODEC(ZSTD),
    version         Int64 COMMENT 'version of the product''s row after the step' CODEC(T64, ZSTD),
    at              DateTime64(3, 'UTC') COMMENT 'time of the step, UTC' CODEC(Delta, ZSTD),
    name            String COMMENT 'shown to buyers' CODEC(ZSTD),
    category        LowCardinality(String) COMMENT 'for reports; empty: none',
    price_minor     Int64 COMMENT 'catalogue price of a unit, minor units' CODEC(T64, ZSTD),
    currency        LowCardinality(String) COMMENT 'ISO 4217',
    _topic          LowCardinality(String) COMMENT 'topic of the record',
    _partition      Int64 COMMENT 'partition of the record' CODEC(T64, ZSTD),
    _offset         Int64 COMMENT 'offset of the record' CODEC(Delta, ZSTD)
) ENGINE = ReplacingMergeTree(version) ORDER BY (tenant, product_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'the catalogue: the newest version of each product, with FINAL';

-- placed_at never changes in the life of an order, so it may stand in the key, and brings the order of time with it.
CREATE TABLE IF NOT EXISTS orders_now (
    tenant          LowCardinality(String) COMMENT 'the shop it belongs to',
    placed_at       DateTime64(3, 'UTC') COMMENT 'when the order was accepted' CODEC(Delta, ZSTD),
    order_id        String COMMENT 'which order' CODEC(ZSTD),
    version         Int64 COMMENT 'version of the order''s row' CODEC(T64, ZSTD),
    status          LowCardinality(String) COMMENT 'where it is: PENDING, CONFIRMED, REJECTED, EXPIRED, CANCELLING, CANCELLED, …',
    payment_status  LowCardinality(String) COMMENT 'as it follows from the ledger: NONE, PENDING, AUTHORIZED, PAID, REFUNDED, VOIDED, …',
    fulfillment_status LowCardinality(String) COMMENT 'as it follows from the lines: UNFULFILLED, FULFILLED, DELIVERED, …',
    customer_id     String COMMENT 'buyer; empty: guest' CODEC(ZSTD),
    country         LowCardinality(String) COMMENT 'country that is shipped to, ISO 3166 alpha-2; empty: not known',
    currency        LowCardinality(String) COMMENT 'ISO 4217',
    payment_method  LowCardinality(String) COMMENT 'how the buyer pays',
    lines           Int64 COMMENT 'number of lines wanted' CODEC(T64, ZSTD),
    units           Int64 COMMENT 'units of those lines' CODEC(T64, ZSTD),
    total_minor     Int64 COMMENT 'Σ lines, minor units, locked at CONFIRMED; 0 before that' CODEC(T64, ZSTD),
    authorized_minor Int64 COMMENT 'money held now, minor units' CODEC(T64, ZSTD),
    captured_minor  Int64 COMMENT 'money taken, minor units' CODEC(T64, ZSTD),
    refunded_minor  Int64 COMMENT 'money given back, minor units; ≤ captured' CODEC(T64, ZSTD),
    reason          LowCardinality(String) COMMENT 'why it was refused or ended: the first in order of precedence; NONE otherwise',
    decided_at      DateTime64(3, 'UTC') COMMENT 'when it left PENDING; 1970: not yet' CODEC(Delta, ZSTD),
    updated_at      DateTime64(3, 'UTC') COMMENT 'time of its last step, UTC' CODEC(Delta, ZSTD),
    _topic          LowCardinality(String) COMMENT 'table topic of the record',
    _partition      Int64 COMMENT 'partition of the record' CODEC(T64, ZSTD),
    _offset         Int64 COMMENT 'offset of the record' CODEC(Delta, ZSTD)
) ENGINE = ReplacingMergeTree(version) PARTITION BY toYYYYMM(placed_at) ORDER BY (tenant, placed_at, order_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'every order as it is now: the newest version of each, with FINAL';
