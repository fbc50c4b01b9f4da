"""An analyst with ClickHouse's Python client: reads as the reader, and is refused what the reader may not. Arguments: host, port, password of the user default."""

import sys

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError

host, port, password = sys.argv[1], int(sys.argv[2]), sys.argv[3]

owner = clickhouse_connect.get_client(host=host, port=port, username="default", password=password, database="oms")
owner.command("CREATE TABLE sales (day Date, sku LowCardinality(String), tags Array(String), note Nullable(String), amount Decimal(18, 2)) ENGINE = MergeTree ORDER BY day")
import datetime
import decimal

day = datetime.date(2026, 2, 3)
owner.insert("sales", [[day, f"sku-{i % 3}", ["a", "b'c"][: i % 3], None if i % 2 else "it's", decimal.Decimal(i) / 100] for i in range(1000)],
             column_names=["day", "sku", "tags", "note", "amount"])

reader = clickhouse_connect.get_client(host=host, port=port, username="reader", database="oms")
result = reader.query("SELECT sku, count() AS orders, sum(amount) AS total FROM sales WHERE day = {day:Date} GROUP BY sku ORDER BY sku", parameters={"day": day})
for sku, orders, total in result.result_rows:
    print(sku, orders, total)
print(result.column_names, [t.name for t in result.column_types])
print(reader.query("SELECT tags, note FROM sales ORDER BY amount LIMIT 1 OFFSET 2").result_rows)
with reader.query_rows_stream("SELECT number FROM numbers(300000)") as stream:
    print(sum(n for (n,) in stream))
print(reader.raw_query("SELECT toUInt64(7) AS n FORMAT JSONEachRow").decode().strip())
for statement in ("INSERT INTO sales (sku) VALUES ('x')", "DROP TABLE sales"):
    try:
        reader.command(statement)
        print("allowed:", statement)
    except DatabaseError as e:
        print("refused" if "READONLY" in str(e) else e)
try:
    reader.query("SELECT nothing FROM nowhere")
except DatabaseError as e:
    print("UNKNOWN_TABLE" in str(e))
