-- What was remembered in a call. The block is what somebody said: it goes when the payloads go.
ALTER TABLE spans
    ADD COLUMN IF NOT EXISTS memory_switch LowCardinality(String),
    ADD COLUMN IF NOT EXISTS memory_status LowCardinality(String),
    ADD COLUMN IF NOT EXISTS memory_ids Array(String),
    ADD COLUMN IF NOT EXISTS memory_scores Array(Float64),
    ADD COLUMN IF NOT EXISTS memory_tokens UInt64,
    ADD COLUMN IF NOT EXISTS memory_latency_us UInt64,
    ADD COLUMN IF NOT EXISTS memory_block String CODEC(ZSTD(3)) TTL toDateTime(started_at) + INTERVAL 90 DAY,
    ADD COLUMN IF NOT EXISTS memory_anchor Int32 DEFAULT -1;
