"""Reads a topic of oms with the Kafka client and Avro deserializer of Confluent, and counts the gaps in the sequences of each order.

usage: consume.py BROKER REGISTRY_URL TOPIC
"""

import sys
from collections import Counter, defaultdict

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

broker, registry, topic = sys.argv[1:]
decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer({"bootstrap.servers": broker, "group.id": "stranger", "isolation.level": "read_committed", "auto.offset.reset": "earliest", "enable.partition.eof": True})
partitions = list(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
consumer.assign([TopicPartition(topic, p, 0) for p in partitions])

sequences, kinds, open_ends = defaultdict(list), Counter(), set(partitions)
while open_ends:
    m = consumer.poll(30)
    if m is None:
        sys.exit("nothing came for 30 s")
    if m.error():
        open_ends.discard(m.partition())
        continue
    fact = decode(m.value(), SerializationContext(topic, MessageField.VALUE))
    assert m.key().decode() == fact["order_id"], "the key is not the order's"
    kinds[dict(m.headers())["ce_type"].decode().rsplit(".", 1)[1]] += 1
    sequences[fact["order_id"]].append(fact["sequence"])

gaps = sum(s != list(range(1, len(s) + 1)) for s in sequences.values())
print("orders", len(sequences), "facts", sum(kinds.values()), "gaps", gaps, " ".join(f"{k} {n}" for k, n in sorted(kinds.items())))
