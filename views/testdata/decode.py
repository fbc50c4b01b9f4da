"""Decodes records with Confluent's own Avro deserializer against the registry at argv[1].

Reads JSON lines {"topic", "value" (base64)} and prints what each record says, one JSON line a record.
"""
import base64
import json
import sys

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

registry = SchemaRegistryClient({"url": sys.argv[1]})
decode = AvroDeserializer(registry)
for line in sys.stdin:
    record = json.loads(line)
    context = SerializationContext(record["topic"], MessageField.VALUE)
    said = decode(base64.b64decode(record["value"]), context)
    print(json.dumps(said, default=str))
