-- Finds calls by what they belong to, without scanning the calls.
CREATE TABLE IF NOT EXISTS span_index
(
    project      LowCardinality(String),
    key          LowCardinality(String),
    value        String,
    started_at   DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    call_id      String,
    environment  LowCardinality(String),
    origin       LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(started_at)
ORDER BY (project, key, value, started_at, call_id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS span_index_view TO span_index AS
SELECT
    project, entry.1 AS key, entry.2 AS value, started_at, call_id, environment, origin
FROM spans
ARRAY JOIN arrayDistinct(arrayFilter(pair -> pair.2 != '', arrayConcat(
    [('event_id', event_id), ('thread_id', thread_id), ('user_id', user_id), ('trace_id', trace_id)],
    arrayMap(tag -> ('tag', toString(tag)), tags),
    arrayMap((name, text) -> (concat('property:', toString(name)), text), mapKeys(properties), mapValues(properties))
))) AS entry;
