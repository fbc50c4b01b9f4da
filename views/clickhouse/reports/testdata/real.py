"""What the reports must answer about the real documents of a wholesaler, computed from the files with SQLite, without a line of the shop.

usage: python3 real.py FOLDER    FOLDER holds orders-first5000.jsonl.gz
prints one JSON object: for each report a list of rows, amounts in pence

How a document becomes an order (see proof/workload): a sale is an order with all its lines, at the prices of the document, whatever the catalogue says. It is confirmed: there is
stock for all of them, a price of 0 is a price, and the same product twice is two lines. A cancellation that names a sale as a whole cancels it afterwards; other
cancellations are not possible yet and change nothing. A write-off takes units off the stock.
"""
import gzip
import json
import os
import sqlite3
import sys

db = sqlite3.connect(":memory:")
db.executescript("""
CREATE TABLE sales (id TEXT PRIMARY KEY, customer TEXT, country TEXT, currency TEXT, cancelled INTEGER DEFAULT 0);
CREATE TABLE lines (id TEXT, product TEXT, quantity INTEGER, price INTEGER);
""")
with gzip.open(os.path.join(sys.argv[1], "orders-first5000.jsonl.gz"), "rt", encoding="utf-8") as f:
    documents = [json.loads(line) for line in f]
for d in documents:
    if d["kind"] == "sale":
        db.execute("INSERT INTO sales (id, customer, country, currency) VALUES (?, ?, ?, ?)",
                   (d["order_id"], d["customer_id"] or "", d["country_code"] or "", d["currency"]))
        db.executemany("INSERT INTO lines VALUES (?, ?, ?, ?)", [(d["order_id"], i["sku"], i["quantity"], i["unit_price_minor"]) for i in d["items"]])
for d in documents:
    if d["kind"] == "cancellation" and (d.get("cancels") or {}).get("whole_order"):
        db.execute("UPDATE sales SET cancelled = 1 WHERE id = ?", (d["cancels"]["order_id"],))

db.execute("""CREATE VIEW totals AS
SELECT s.*, count(*) AS lines, sum(quantity) AS units, sum(quantity * price) AS total FROM sales s JOIN lines l USING (id) GROUP BY s.id""")

answers = {
    # currency, country, orders, lines, units, sales
    "sales-by-country": "SELECT currency, country, count(*), sum(lines), sum(units), sum(total) FROM totals GROUP BY 1, 2 ORDER BY 1, 6 DESC, 2",
    # product, lines, units, sales
    "sales-by-product": "SELECT product, count(*), sum(quantity), sum(quantity * price) FROM lines GROUP BY 1 ORDER BY 4 DESC, 1",
    # product, units, lines of the twenty that sell most
    "best-sellers": "SELECT product, sum(quantity), count(*) FROM lines GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20",
    # lines of an order, orders, units
    "order-size": "SELECT lines, count(*), sum(units) FROM totals GROUP BY 1 ORDER BY 1",
    # currency, orders, sales, average, lines, units
    "order-value": "SELECT currency, count(*), sum(total), (2 * sum(total) + count(*)) / (2 * count(*)), sum(lines), sum(units) FROM totals GROUP BY 1",
    # orders cancelled behind their confirmation, and what they were worth
    "cancellations": "SELECT currency, count(*), sum(total) FROM totals WHERE cancelled GROUP BY 1",
    # state now, orders
    "drop-off": "SELECT CASE cancelled WHEN 0 THEN 'CONFIRMED' ELSE 'CANCELLED' END, count(*) FROM totals GROUP BY 1 ORDER BY 2 DESC",
    # orders of a customer (10: ten or more), customers, orders
    "repeat-rate": """SELECT min(n, 10), count(*), sum(n) FROM (SELECT customer, count(*) AS n FROM totals WHERE customer != '' AND NOT cancelled GROUP BY 1) GROUP BY 1 ORDER BY 1""",
    # units that nobody has: those of cancelled orders
    "stock-left": "SELECT sum(units) FROM totals WHERE cancelled",
}
json.dump({name: db.execute(query).fetchall() for name, query in answers.items()}, sys.stdout)
