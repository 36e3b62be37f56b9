-- The variant of an experiment. Numbers that a step of a pipeline reports, and logs that were sent to us: their own ids, and the call they are about.
ALTER TABLE spans ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS variant LowCardinality(String),
    ADD COLUMN IF NOT EXISTS metrics Map(LowCardinality(String), Float64),
    ADD COLUMN IF NOT EXISTS log_id String,
    ADD COLUMN IF NOT EXISTS links_to String,
    ADD COLUMN IF NOT EXISTS span_id String,
    ADD COLUMN IF NOT EXISTS span_name String;

-- A view of its own: with a modified one, tests/integration/test_collector.py finds index rows twice after a kill in the
-- middle of an insert (chDB 26.9, Nov 2026).
CREATE MATERIALIZED VIEW IF NOT EXISTS span_index_logs_view ON CLUSTER '{cluster}' TO span_index AS
SELECT
    project, entry.1 AS key, entry.2 AS value, started_at, call_id, environment, origin
FROM spans
ARRAY JOIN arrayFilter(pair -> pair.2 != '', [('log_id', log_id), ('links_to', links_to)]) AS entry;

-- What was said later about a call (by its id, with its time) or a user; the newest word on each field holds.
-- Money is not among the fields.
CREATE TABLE IF NOT EXISTS amendments ON CLUSTER '{cluster}'
(
    project      LowCardinality(String),
    environment  LowCardinality(String),
    target       LowCardinality(String),
    id           String,
    started_at   DateTime64(6, 'UTC'),
    fields       Map(LowCardinality(String), String),
    key_id       LowCardinality(String),
    made_at      DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (project, environment, target, id, made_at)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;
