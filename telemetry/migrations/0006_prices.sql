-- What prices depend on besides tokens of text, and what reading the provider's cache saved.
ALTER TABLE spans
    ADD COLUMN IF NOT EXISTS output_image UInt64 AFTER output_audio,
    ADD COLUMN IF NOT EXISTS web_searches UInt64 AFTER output_image,
    ADD COLUMN IF NOT EXISTS service_tier LowCardinality(String) AFTER output_tokens,
    ADD COLUMN IF NOT EXISTS cache_saved_nano_usd Int64 AFTER cost_lines;

ALTER TABLE usage_daily
    ADD COLUMN IF NOT EXISTS output_image Int64 AFTER output_audio,
    ADD COLUMN IF NOT EXISTS web_searches Int64 AFTER output_image,
    ADD COLUMN IF NOT EXISTS cache_saved_nano_usd Int64 AFTER cost_nano_usd;

ALTER TABLE usage_daily_view MODIFY QUERY
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
    toInt64(sum(spans.output_image)) AS output_image,
    toInt64(sum(spans.web_searches)) AS web_searches,
    toInt64(sum(spans.input_tokens)) AS input_tokens,
    toInt64(sum(spans.output_tokens)) AS output_tokens,
    toInt64(sum(ifNull(spans.cost_nano_usd, 0))) AS cost_nano_usd,
    toInt64(sum(spans.cache_saved_nano_usd)) AS cache_saved_nano_usd,
    toInt64(sum(spans.total_us)) AS total_us
FROM spans
GROUP BY project, environment, day, user_id, key_id, provider, model, kind, origin;
