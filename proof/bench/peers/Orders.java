// The order flow of a shop on Kafka Streams, exactly_once_v2, with RocksDB stores: order, stock and payment steps in one topology.
//
//   orders → [order] → reserve → [stock] → reserved → [order] → pay → [payment] → paid → [order] → confirmed
//
// usage: java Orders BROKER STATE_DIR COMMIT_MS THREADS. It prints "running" when it is, and ends with its standard input.
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.*;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;

public class Orders {
  static final ObjectMapper JSON = new ObjectMapper();

  /** Everything that is said: an order, a line of it to or from the stock, a payment. */
  public static class Message {
    public String id, kind, status;
    public String product;
    public long quantity, price, total;
    public int waiting;
    public boolean ok;
    public List<Message> lines;
  }

  public static class Level { public long available = 1L << 40, reserved; }

  static <T> Serde<T> json(Class<T> type) {
    return Serdes.serdeFrom(
        (topic, v) -> { try { return v == null ? null : JSON.writeValueAsBytes(v); } catch (Exception e) { throw new IllegalStateException(e); } },
        (topic, b) -> { try { return b == null ? null : JSON.readValue(b, type); } catch (Exception e) { throw new IllegalStateException(e); } });
  }

  abstract static class Step<S> implements Processor<String, Message, String, Message> {
    final String store;
    ProcessorContext<String, Message> context;
    KeyValueStore<String, S> state;

    Step(String store) { this.store = store; }

    public void init(ProcessorContext<String, Message> c) { context = c; state = c.getStateStore(store); }

    void say(Record<String, Message> cause, String sink, String key, Message m) { context.forward(new Record<>(key, m, cause.timestamp()), sink); }
  }

  static class OrderStep extends Step<Message> {
    OrderStep() { super("orders-store"); }

    public void process(Record<String, Message> r) {
      Message m = r.value(), order = state.get(r.key());
      if (m.kind.equals("place")) {
        if (order != null || m.lines == null || m.lines.isEmpty()) return; // placed before, or not well-formed
        m.status = "PENDING";
        m.waiting = m.lines.size();
        for (Message l : m.lines) m.total += l.price * l.quantity;
        state.put(r.key(), m);
        for (Message l : m.lines) { l.id = m.id; l.kind = "reserve"; say(r, "reserve", l.product, l); }
        return;
      }
      if (order == null || !order.status.equals("PENDING")) return;
      if (m.kind.equals("reserved") && m.ok) {
        if (--order.waiting == 0) {
          Message pay = new Message();
          pay.id = order.id; pay.kind = "pay"; pay.total = order.total;
          say(r, "pay", r.key(), pay);
        }
      } else {
        order.status = m.ok ? "CONFIRMED" : "REJECTED";
        say(r, "confirmed", r.key(), order);
      }
      state.put(r.key(), order);
    }
  }

  static class StockStep extends Step<Level> {
    StockStep() { super("stock-store"); }

    public void process(Record<String, Message> r) {
      Message m = r.value();
      Level level = state.get(r.key());
      if (level == null) level = new Level();
      m.kind = "reserved";
      m.ok = level.available >= m.quantity;
      if (m.ok) { level.available -= m.quantity; level.reserved += m.quantity; state.put(r.key(), level); }
      say(r, "reserved", m.id, m);
    }
  }

  static class PaymentStep extends Step<Message> {
    PaymentStep() { super("payments-store"); }

    public void process(Record<String, Message> r) {
      Message m = state.get(r.key());
      if (m == null) { m = r.value(); m.kind = "paid"; m.ok = true; state.put(r.key(), m); } // the provider always says yes
      say(r, "paid", r.key(), m);
    }
  }

  static <S> void step(Topology t, String name, ProcessorSupplier<String, Message, String, Message> step, String store, Serde<S> state, List<String> in, List<String> out) {
    Serde<Message> message = json(Message.class);
    for (String topic : in) t.addSource("from-" + topic, Serdes.String().deserializer(), message.deserializer(), topic);
    t.addProcessor(name, step, in.stream().map(topic -> "from-" + topic).toArray(String[]::new));
    t.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(store), Serdes.String(), state).withCachingEnabled(), name);
    for (String topic : out) t.addSink(topic, topic, Serdes.String().serializer(), message.serializer(), name);
  }

  public static void main(String[] a) throws Exception {
    Topology t = new Topology();
    step(t, "order", OrderStep::new, "orders-store", json(Message.class), List.of("orders", "reserved", "paid"), List.of("reserve", "pay", "confirmed"));
    step(t, "stock", StockStep::new, "stock-store", json(Level.class), List.of("reserve"), List.of("reserved"));
    step(t, "payment", PaymentStep::new, "payments-store", json(Message.class), List.of("pay"), List.of("paid"));
    Properties p = new Properties();
    p.putAll(Map.of("application.id", "orders", "bootstrap.servers", a[0], "state.dir", a[1], "commit.interval.ms", a[2], "num.stream.threads", a[3],
        "processing.guarantee", "exactly_once_v2", "replication.factor", "1", "auto.offset.reset", "earliest"));
    KafkaStreams streams = new KafkaStreams(t, p);
    CountDownLatch running = new CountDownLatch(1);
    streams.setStateListener((now, before) -> { if (now == KafkaStreams.State.RUNNING) running.countDown(); });
    streams.start();
    running.await();
    System.out.println("running");
    while (System.in.read() >= 0) { }
    streams.close(java.time.Duration.ofSeconds(10));
  }
}
