-- +goose Up
CREATE TABLE IF NOT EXISTS dead_letters (
    _topic          LowCardinality(String) COMMENT 'topic of the record',
    _partition      Int64 COMMENT 'partition of the record',
    _offset         Int64 COMMENT 'offset of the record',
    at              DateTime64(3, 'UTC') COMMENT 'timestamp of the record, UTC',
    key             String COMMENT 'key of the record, as it came' CODEC(ZSTD),
    value           String COMMENT 'value of the record, as it came' CODEC(ZSTD),
    reason          String COMMENT 'why it is in no other table' CODEC(ZSTD)
) ENGINE = ReplacingMergeTree ORDER BY (_topic, _partition, _offset)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'records that the sink could not map';

-- The sink's memory. Before it inserts it writes what it is about to insert (an intent: which offsets of which partition go into which table, under which token), and
-- afterwards that it is done. A start repeats an intent that is not done with exactly its ranges and token, so the table takes it once, whatever came of the first
-- try. One row of each state is kept a table and partition: the one of the greatest seq.
CREATE TABLE IF NOT EXISTS sink_offsets (
    table_name      LowCardinality(String) COMMENT 'table that is filled',
    topic           LowCardinality(String) COMMENT 'from which topic',
    partition       Int64 COMMENT 'and partition',
    state           Enum8('intent' = 1, 'done' = 2) COMMENT 'about to be inserted, or stands in the table',
    seq             UInt64 COMMENT 'number of the insert, growing over all processes: epoch of the process × 2^32 + its count',
    first_offset    Int64 COMMENT 'first offset of the insert',
    next_offset     Int64 COMMENT 'offset after its last',
    token           String COMMENT 'insert_deduplication_token of the insert; empty: there was nothing to insert',
    at              DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when, by the clock of ClickHouse'
) ENGINE = ReplacingMergeTree(seq) ORDER BY (table_name, topic, partition, state)
COMMENT 'how far each table has each partition';

-- Who may insert: the process of the greatest (epoch, holder). Each start takes the next epoch, so of two sinks the later one goes on and the earlier one stands by.
CREATE TABLE IF NOT EXISTS sink_leads (
    epoch           UInt64 COMMENT 'number of the lead, growing',
    holder          String COMMENT 'who has it',
    state           Enum8('held' = 1, 'released' = 2) COMMENT 'released: anyone may take the next epoch at once',
    cluster         String COMMENT 'id of the Kafka cluster whose topics the tables hold',
    at              DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'last sign of life, by the clock of ClickHouse'
) ENGINE = ReplacingMergeTree(at) ORDER BY (epoch, holder)
COMMENT 'who may fill the tables';
