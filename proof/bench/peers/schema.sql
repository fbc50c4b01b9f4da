-- Placing an order in PostgreSQL as a strong engineer would: one function, one transaction, a transactional outbox.
CREATE TABLE products (id int PRIMARY KEY, price_minor bigint NOT NULL);
CREATE TABLE stock (
  product_id int PRIMARY KEY REFERENCES products,
  available  bigint NOT NULL CHECK (available >= 0),
  reserved   bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50); -- room to change a row in its page, also a hot one
CREATE TABLE orders (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key         text NOT NULL UNIQUE,
  customer    bigint NOT NULL,
  status      text NOT NULL,
  total_minor bigint NOT NULL,
  placed_at   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE lines ( -- without a foreign key: nobody needs it on the hot path
  order_id bigint, line int, product_id int NOT NULL, quantity int NOT NULL, price_minor bigint NOT NULL,
  PRIMARY KEY (order_id, line)
);
CREATE TABLE payments (order_id bigint PRIMARY KEY, amount_minor bigint NOT NULL, status text NOT NULL, reference text NOT NULL);
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id bigint NOT NULL, type text NOT NULL, payload jsonb NOT NULL);
INSERT INTO products SELECT n, 100 + n * 37 % 9900 FROM generate_series(1, 4000) n;
INSERT INTO stock SELECT n, 1::bigint << 40 FROM generate_series(1, 4000) n;

-- Products come sorted and distinct. Stock is taken last, so that a hot row is locked for the shortest time. A repeated key gets its order again; a shortage takes all back.
CREATE FUNCTION place_order(p_key text, p_customer bigint, p_products int[], p_quantities int[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_order bigint; v_total bigint; v_known int; v_taken int;
BEGIN
  SELECT sum(p.price_minor * l.quantity), count(*) INTO v_total, v_known FROM unnest(p_products, p_quantities) AS l(product, quantity) JOIN products p ON p.id = l.product;
  IF v_known <> cardinality(p_products) THEN RAISE EXCEPTION 'unknown product'; END IF;
  INSERT INTO orders (key, customer, status, total_minor) VALUES (p_key, p_customer, 'CONFIRMED', v_total) ON CONFLICT (key) DO NOTHING RETURNING id INTO v_order;
  IF v_order IS NULL THEN
    SELECT id INTO v_order FROM orders WHERE key = p_key;
    RETURN v_order;
  END IF;
  INSERT INTO lines SELECT v_order, l.n, l.product, l.quantity, p.price_minor
    FROM unnest(p_products, p_quantities) WITH ORDINALITY AS l(product, quantity, n) JOIN products p ON p.id = l.product;
  INSERT INTO payments VALUES (v_order, v_total, 'AUTHORIZED', 'auth-' || p_key); -- the provider always says yes
  INSERT INTO outbox (order_id, type, payload) VALUES (v_order, 'OrderConfirmed',
    jsonb_build_object('order', v_order, 'customer', p_customer, 'total', v_total, 'products', to_jsonb(p_products), 'quantities', to_jsonb(p_quantities)));
  IF cardinality(p_products) > 1 THEN -- lock in order, or two orders wait for each other
    PERFORM 1 FROM stock WHERE product_id = ANY (p_products) ORDER BY product_id FOR UPDATE;
  END IF;
  UPDATE stock s SET available = s.available - l.quantity, reserved = s.reserved + l.quantity
    FROM unnest(p_products, p_quantities) AS l(product, quantity) WHERE s.product_id = l.product AND s.available >= l.quantity;
  GET DIAGNOSTICS v_taken = ROW_COUNT;
  IF v_taken <> cardinality(p_products) THEN RAISE EXCEPTION 'out of stock'; END IF;
  RETURN v_order;
END $$;
