package desk

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
	sink "oms/views/clickhouse"
)

// world is one engine for all tests, with the tables of the migrations and two shops in them. The shop "other" has its name in every text of its rows.
var world struct {
	sync.Once
	dir    string
	engine *clickhouse.Engine
	conn   driver.Conn // may do all
	reader driver.Conn // may read
	err    error
}

func TestMain(m *testing.M) {
	os.Exit(clickhousetest.MainWith(func() int {
		defer func() {
			if world.engine != nil {
				world.conn.Close()
				world.reader.Close()
				world.engine.Close()
			}
			os.RemoveAll(world.dir)
		}()
		return m.Run()
	}))
}

// now is the day after the last of the shop's orders.
var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func shop(t testing.TB) (conn, reader driver.Conn) {
	t.Helper()
	clickhousetest.Library(t) // skips
	world.Do(func() {
		world.err = func() (err error) {
			if world.dir, err = os.MkdirTemp("", "desk"); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			c := clickhousetest.Config(t, world.dir)
			c.Log = nil // it outlives this test
			if world.engine, err = clickhouse.Start(ctx, c); err != nil {
				return err
			}
			if world.conn, err = clickhouse.Open(world.engine.URL()); err != nil {
				return err
			}
			if world.reader, err = clickhouse.Open(world.engine.ReaderURL()); err != nil {
				return err
			}
			db, err := clickhouse.OpenDB(world.engine.URL())
			if err != nil {
				return err
			}
			defer db.Close()
			if _, err := sink.Migrate(ctx, db, 0); err != nil {
				return err
			}
			for _, sql := range fixture {
				if err := world.conn.Exec(ctx, sql); err != nil {
					return fmt.Errorf("%w: %.200s", err, sql)
				}
			}
			return nil
		}()
	})
	if world.err != nil {
		t.Fatal(world.err)
	}
	return world.conn, world.reader
}

// order number n of a shop: when, of whom, in which state. Of the shop "other" there are 200.
const orders = `WITH toDateTime64('2026-04-02 00:00:00', 3, 'UTC') + toIntervalSecond(n * 1296 + cityHash64(n) % 900) AS placed, concat(mark, 'ord_', leftPad(toString(n), 6, '0')) AS id,
	['DE','FR','AT','US','GB','CH'][1 + cityHash64(n, 'c') % 6] AS land, ['EUR','EUR','EUR','USD','GBP','CHF'][1 + cityHash64(n, 'c') % 6] AS money,
	cityHash64(n, 'r') % 100 AS roll, 1 + cityHash64(n, 'l') % 3 AS parts, 500 + cityHash64(n, 'v') % 9000 AS price,
	concat(mark, 'cus_', toString(cityHash64(n, 'u') % 700)) AS buyer, multiIf(roll < 7, 'REJECTED', roll < 9, 'EXPIRED', roll < 12, 'CANCELLED', roll < 14, 'PENDING', 'CONFIRMED') AS fate,
	multiIf(roll < 5, 'OUT_OF_STOCK', roll < 7, 'PAYMENT_DECLINED', roll < 9, 'DECISION_TIMEOUT', roll < 12, 'CANCELLED_BY_CUSTOMER', 'NONE') AS why,
	placed + toIntervalMillisecond(40 + cityHash64(n, 't') % 900) AS decided, tenant, mark, n `

const shops = ` FROM (SELECT 'default' AS tenant, '' AS mark, number AS n FROM numbers(4000) UNION ALL SELECT 'other', 'other-', number FROM numbers(200))`

var fixture = []string{
	`INSERT INTO order_events (tenant, at, order_id, version, ordinal, sequence, type, placed_at, customer_id, country, currency, payment_method, lines, units, client_reference, _topic, _partition, _offset) ` + orders +
		`SELECT tenant, placed, id, 1, 0, 1, 'OrderCreated', placed, buyer, land, money, 'CARD', parts, parts * 2, concat(mark, 'A-', toString(n)), 'oms.order.events', n % 4, n * 3` + shops,
	`INSERT INTO order_events (tenant, at, order_id, version, ordinal, sequence, type, placed_at, country, currency, lines, units, total_minor, reason, _topic, _partition, _offset) ` + orders +
		`SELECT tenant, decided, id, 4, 0, 2, multiIf(fate = 'REJECTED', 'OrderRejected', fate = 'EXPIRED', 'OrderExpired', 'OrderConfirmed'), placed, land, money, parts, parts * 2,
		if(fate IN ('CONFIRMED', 'CANCELLED'), parts * 2 * price, 0), if(fate IN ('REJECTED', 'EXPIRED'), why, 'NONE'), 'oms.order.events', n % 4, n * 3 + 1` + shops + ` WHERE fate != 'PENDING'`,
	`INSERT INTO order_events (tenant, at, order_id, version, ordinal, sequence, type, placed_at, country, currency, lines, units, total_minor, reason, status_before, _topic, _partition, _offset) ` + orders +
		`SELECT tenant, decided + toIntervalHour(1) + toIntervalSecond(s), id, 5 + s, 0, 3 + s, if(s = 0, 'OrderCancellationRequested', 'OrderCancelled'), placed, land, money, parts, parts * 2,
		if(s = 0, parts * 2 * price, 0), why, if(s = 0, 'CONFIRMED', ''), 'oms.order.events', n % 4, 20000 + n * 2 + s` + shops + ` ARRAY JOIN [0, 1] AS s WHERE fate = 'CANCELLED'`,
	`INSERT INTO order_lines (tenant, at, order_id, version, ordinal, line, type, placed_at, product_id, country, currency, quantity, unit_price_minor, total_minor, locations, reason, available, _topic, _partition, _offset) ` + orders +
		`SELECT tenant, if(step = 1, placed, decided), id, if(step = 1, 1, 4), 0, k + 1, multiIf(step = 1, 'OrderCreated', fate = 'REJECTED', 'OrderRejected', 'OrderConfirmed'), placed, concat(mark, 'prd_', toString(cityHash64(n, k) % 60)), land, money, 2,
		if(step = 2 AND fate != 'REJECTED', price, 0), if(step = 2 AND fate != 'REJECTED', 2 * price, 0), if(step = 2 AND fate != 'REJECTED', 1 + (n % 9 = 0), 0), if(step = 2 AND fate = 'REJECTED', why, 'NONE'), if(step = 2 AND fate = 'REJECTED', 1, 0),
		'oms.order.events', n % 4, n * 3 + step - 1` + shops + ` ARRAY JOIN range(toUInt32(parts)) AS k ARRAY JOIN [1, 2] AS step WHERE step = 1 OR fate IN ('CONFIRMED', 'CANCELLED', 'REJECTED')`,
	`INSERT INTO payments (tenant, at, order_id, version, ordinal, sequence, operation, outcome, method, provider, currency, amount_minor, provider_ref, reason, _topic, _partition, _offset) ` + orders +
		`SELECT tenant, decided - toIntervalMillisecond(5), id, 3 + s, 1, 1 + s, ['AUTHORIZE', 'CAPTURE', 'REFUND'][1 + s], if(s = 0 AND why = 'PAYMENT_DECLINED', 'DECLINED', ['AUTHORIZED', 'CAPTURED', 'REFUNDED'][1 + s]), 'CARD', concat(mark, ['sandbox', 'northpay'][1 + n % 2]), money, parts * 2 * price,
		concat(mark, 'ref_', toString(n)), if(why = 'PAYMENT_DECLINED', 'INSUFFICIENT_FUNDS', ''), 'oms.payment.events', n % 4, n * 3 + s` + shops + ` ARRAY JOIN [0, 1, 2] AS s WHERE (s = 0 AND why != 'OUT_OF_STOCK') OR (s = 1 AND fate IN ('CONFIRMED', 'CANCELLED')) OR (s = 2 AND fate = 'CANCELLED')`,
	`INSERT INTO stock_movements (tenant, at, product_id, version, ordinal, entry, sequence, movement, order_id, line, location_id, quantity, on_hand, reserved, reason, _topic, _partition, _offset) ` + orders +
		`SELECT tenant, decided, concat(mark, 'prd_', toString(cityHash64(n, k) % 60)), 2 + n, 0, k + 1, 2 + n, if(fate = 'CANCELLED' AND k = 0, 'RELEASED', if(n % 5 = 0, 'SHIPPED', 'RESERVED')), id, k + 1, concat(mark, 'main'), 2, greatest(0, 400 - intDiv(n, 10)), n % 40, '', 'oms.inventory.events', n % 4, n` + shops + ` ARRAY JOIN range(toUInt32(parts)) AS k WHERE fate IN ('CONFIRMED', 'CANCELLED')`,
	`INSERT INTO stock_movements (tenant, at, product_id, version, ordinal, entry, sequence, movement, location_id, quantity, on_hand, reason, _topic, _partition, _offset)
		SELECT tenant, toDateTime64('2026-04-01 08:00:00', 3, 'UTC'), concat(mark, 'prd_', toString(p)), 1, 0, 1, 1, 'ADJUSTED', concat(mark, 'main'), 400, 400, 'INITIAL', 'oms.inventory.events', 0, 100000 + p FROM (SELECT 'default' AS tenant, '' AS mark, number AS p FROM numbers(60) UNION ALL SELECT 'other', 'other-', number FROM numbers(60))`,
	`INSERT INTO stock_alerts (tenant, at, product_id, version, ordinal, type, available, threshold, _topic, _partition, _offset)
		SELECT tenant, toDateTime64('2026-05-10 08:00:00', 3, 'UTC') + toIntervalHour(p * 5), concat(mark, 'prd_', toString(p)), 9000 + p, 1, if(p % 4 = 3, 'BackInStock', 'InventoryLow'), 3, 5, 'oms.inventory.events', 0, 200000 + p FROM (SELECT 'default' AS tenant, '' AS mark, number AS p FROM numbers(40) UNION ALL SELECT 'other', 'other-', number FROM numbers(9))`,
	`INSERT INTO products (tenant, product_id, version, at, name, category, price_minor, currency, _topic, _partition, _offset)
		SELECT tenant, concat(mark, 'prd_', toString(p)), 1, toDateTime64('2026-04-01 08:00:00', 3, 'UTC'), concat(mark, ['Tea', 'Cup', 'Pot', 'Tin'][1 + p % 4], ' ', toString(p)), concat(mark, ['tea', 'ware', 'gifts'][1 + p % 3]), 500 + p * 10, 'EUR', 'oms.product.table', 0, p FROM (SELECT 'default' AS tenant, '' AS mark, number AS p FROM numbers(60) UNION ALL SELECT 'other', 'other-', number FROM numbers(60))`,
	`INSERT INTO orders_now (tenant, placed_at, order_id, version, status, payment_status, fulfillment_status, customer_id, country, currency, payment_method, lines, units, total_minor, authorized_minor, captured_minor, refunded_minor, reason, decided_at, updated_at, _topic, _partition, _offset) ` + orders +
		`SELECT tenant, placed, id, 6, fate, multiIf(fate = 'CANCELLED', 'REFUNDED', fate = 'CONFIRMED', 'PAID', 'NONE'), 'UNFULFILLED', buyer, land, money, 'CARD', parts, parts * 2, if(fate IN ('CONFIRMED', 'CANCELLED'), parts * 2 * price, 0), 0,
		if(fate IN ('CONFIRMED', 'CANCELLED'), parts * 2 * price, 0), if(fate = 'CANCELLED', parts * 2 * price, 0), why, if(fate = 'PENDING', toDateTime64(0, 3, 'UTC'), decided), decided, 'oms.order.table', n % 4, n` + shops,
}
