-- What was said: apart from the calls, and kept for a shorter time. Whole days are dropped.
CREATE TABLE IF NOT EXISTS span_payloads ON CLUSTER '{cluster}'
(
    project       LowCardinality(String),
    environment   LowCardinality(String),
    call_id       String,
    kind          LowCardinality(String),
    started_at    DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    surface       LowCardinality(String),
    content_type  LowCardinality(String),
    preview       String CODEC(ZSTD(3)),
    body          String CODEC(ZSTD(3)),
    bytes_total   UInt64,
    sha256        String,
    redactions    UInt32,
    origin        LowCardinality(String)
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYYYYMMDD(started_at)
ORDER BY (project, toStartOfHour(started_at), call_id, kind)
TTL toDateTime(started_at) + INTERVAL 90 DAY DELETE
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, ttl_only_drop_parts = 1;
