-- What a call costs after all: one row each time a price that was known later gave another sum. Calls never change.
CREATE TABLE IF NOT EXISTS cost_corrections ON CLUSTER '{cluster}'
(
    project            LowCardinality(String),
    environment        LowCardinality(String),
    call_id            String,
    started_at         DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    user_id            String,
    key_id             LowCardinality(String),
    provider           LowCardinality(String),
    model              LowCardinality(String),
    kind               LowCardinality(String),
    old_nano_usd       Nullable(Int64),
    new_nano_usd       Int64,
    delta_nano_usd     Int64,
    newly_priced       UInt8,
    old_saved_nano_usd Int64,
    new_saved_nano_usd Int64,
    new_lines          Map(LowCardinality(String), Int64),
    old_price_row      LowCardinality(String),
    old_price_version  LowCardinality(String),
    new_price_row      LowCardinality(String),
    new_price_version  LowCardinality(String),
    reason             String,
    corrected_at       DateTime64(6, 'UTC'),
    origin             LowCardinality(String)
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYYYYMM(started_at)
ORDER BY (project, environment, toStartOfHour(started_at), call_id, corrected_at)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

-- Sums of the rollup are those of the ledger under its origin, and of the corrections under `rerate:<origin>`.
CREATE MATERIALIZED VIEW IF NOT EXISTS cost_corrections_view ON CLUSTER '{cluster}' TO usage_daily AS
SELECT
    project, environment, toDate(started_at) AS day, user_id, key_id, provider, model, kind,
    concat('rerate:', cost_corrections.origin) AS origin,
    toInt64(sum(newly_priced)) AS priced,
    -toInt64(sum(newly_priced)) AS unpriced,
    toInt64(sum(delta_nano_usd)) AS cost_nano_usd,
    toInt64(sum(new_saved_nano_usd - old_saved_nano_usd)) AS cache_saved_nano_usd
FROM cost_corrections
GROUP BY project, environment, day, user_id, key_id, provider, model, kind, origin;

-- Months whose calls are gone by retention: their rollup is all that is left, and no repair may touch it.
CREATE TABLE IF NOT EXISTS dropped_months ON CLUSTER '{cluster}'
(
    month       UInt32,
    dropped_at  DateTime DEFAULT now()
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY month;
