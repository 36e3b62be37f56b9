-- What each user, key and model used in a day. Its sums equal the ledger's; signed, so that a repair can add differences.
CREATE TABLE IF NOT EXISTS usage_daily ON CLUSTER '{cluster}'
(
    project           LowCardinality(String),
    environment       LowCardinality(String),
    day               Date,
    user_id           String,
    key_id            LowCardinality(String),
    provider          LowCardinality(String),
    model             LowCardinality(String),
    kind              LowCardinality(String),
    origin            LowCardinality(String),
    calls             Int64,
    priced            Int64,
    unpriced          Int64,
    errors            Int64,
    interrupted       Int64,
    input_uncached    Int64,
    cache_read        Int64,
    cache_write_5m    Int64,
    cache_write_1h    Int64,
    input_audio       Int64,
    input_image       Int64,
    output_text       Int64,
    output_reasoning  Int64,
    output_audio      Int64,
    input_tokens      Int64,
    output_tokens     Int64,
    cost_nano_usd     Int64,
    total_us          Int64
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYYYYMM(day)
ORDER BY (project, environment, day, user_id, key_id, provider, model, kind, origin)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE MATERIALIZED VIEW IF NOT EXISTS usage_daily_view ON CLUSTER '{cluster}' TO usage_daily AS
SELECT
    project, environment, toDate(started_at) AS day, user_id, key_id, provider,
    if(served_model = '', spans.model, served_model) AS model, kind, origin,
    toInt64(count()) AS calls,
    toInt64(countIf(isNotNull(spans.cost_nano_usd))) AS priced,
    toInt64(countIf(isNull(spans.cost_nano_usd))) AS unpriced,
    toInt64(countIf(status = 'error')) AS errors,
    toInt64(countIf(status = 'interrupted')) AS interrupted,
    toInt64(sum(spans.input_uncached)) AS input_uncached,
    toInt64(sum(spans.cache_read)) AS cache_read,
    toInt64(sum(spans.cache_write_5m)) AS cache_write_5m,
    toInt64(sum(spans.cache_write_1h)) AS cache_write_1h,
    toInt64(sum(spans.input_audio)) AS input_audio,
    toInt64(sum(spans.input_image)) AS input_image,
    toInt64(sum(spans.output_text)) AS output_text,
    toInt64(sum(spans.output_reasoning)) AS output_reasoning,
    toInt64(sum(spans.output_audio)) AS output_audio,
    toInt64(sum(spans.input_tokens)) AS input_tokens,
    toInt64(sum(spans.output_tokens)) AS output_tokens,
    toInt64(sum(ifNull(spans.cost_nano_usd, 0))) AS cost_nano_usd,
    toInt64(sum(spans.total_us)) AS total_us
FROM spans
GROUP BY project, environment, day, user_id, key_id, provider, model, kind, origin;
