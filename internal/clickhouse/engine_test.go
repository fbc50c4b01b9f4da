package clickhouse_test

import (
	"testing"
	"time"

	"oms/internal/clickhouse"
	"oms/internal/clickhouse/clickhousetest"
)

func TestStart(t *testing.T) {
	began := time.Now()
	e := clickhousetest.Start(t)
	t.Log("start", time.Since(began))
	c, err := clickhouse.Open(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.ServerVersion()
	t.Log(v, err)
	rows, err := c.Query(t.Context(), "SELECT name, value FROM system.server_settings WHERE changed ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var a, b string
		rows.Scan(&a, &b)
		t.Log(a, b)
	}
	began = time.Now()
	for range 200 {
		var n uint8
		if err := c.QueryRow(t.Context(), "SELECT 1").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("select 1", time.Since(began)/200)
}
