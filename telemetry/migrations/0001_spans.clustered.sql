-- Every call, one immutable row. Nothing in the sort key can change later.
CREATE TABLE IF NOT EXISTS spans ON CLUSTER '{cluster}'
(
    -- who
    project            LowCardinality(String),
    environment        LowCardinality(String),
    key_id             LowCardinality(String),
    user_id            String,
    agent_id           LowCardinality(String),
    event_id           String,
    event_id_made      Bool,
    thread_id          String,
    trace_id           String,
    call_id            String,
    parent_span_id     String,
    step               LowCardinality(String),
    tags               Array(LowCardinality(String)),
    properties         Map(LowCardinality(String), String),
    -- what was asked
    kind               LowCardinality(String),
    surface            LowCardinality(String),
    operation          LowCardinality(String),
    model              LowCardinality(String),
    route              LowCardinality(String),
    stream             Bool,
    parameters         String CODEC(ZSTD(3)),
    request_bytes      UInt64,
    -- how it went
    status             LowCardinality(String),
    http_status        UInt16,
    error_type         LowCardinality(String),
    error_code         LowCardinality(String),
    error_message      String CODEC(ZSTD(3)),
    provider           LowCardinality(String),
    deployment         LowCardinality(String),
    served_model       LowCardinality(String),
    response_model     LowCardinality(String),
    response_id        String,
    finish_reason      LowCardinality(String),
    attempt_count      UInt16,
    attempts           String CODEC(ZSTD(3)),
    response_bytes     UInt64,
    capture            LowCardinality(String),
    -- time, durations in microseconds
    started_at         DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    first_byte_us      UInt64,
    first_token_us     UInt64,
    total_us           UInt64,
    overhead_us        UInt64,
    -- tokens, in disjoint buckets, and their two sums
    input_uncached     UInt64,
    cache_read         UInt64,
    cache_write_5m     UInt64,
    cache_write_1h     UInt64,
    input_audio        UInt64,
    input_image        UInt64,
    output_text        UInt64,
    output_reasoning   UInt64,
    output_audio       UInt64,
    input_tokens       UInt64,
    output_tokens      UInt64,
    usage_source       LowCardinality(String),
    raw_usage          String CODEC(ZSTD(3)),
    -- money, in billionths of a US dollar; NULL with a reason when nobody knows
    cost_nano_usd       Nullable(Int64),
    cost_lower_nano_usd Int64,
    cost_upper_nano_usd Nullable(Int64),
    cost_lines          Map(LowCardinality(String), Int64),
    cost_reason         LowCardinality(String),
    price_row           LowCardinality(String),
    price_version       LowCardinality(String),
    -- where the row comes from
    gateway            LowCardinality(String),
    origin             LowCardinality(String),
    ingested_at        DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYYYYMM(started_at)
ORDER BY (project, environment, toStartOfHour(started_at), call_id)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;
