package clickhouse_test

import (
	"os"
	"testing"

	"oms/internal/clickhouse/clickhousetest"
)

func TestMain(m *testing.M) { os.Exit(clickhousetest.Main(m)) }
