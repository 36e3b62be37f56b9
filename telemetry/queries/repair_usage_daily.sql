-- Adds to one day of one origin's rollup what the ledger has and the view did not get to write (or takes away).
-- Only that origin's collector writes there, so the difference stands still while it is read.
INSERT INTO usage_daily (project, environment, day, user_id, key_id, provider, model, kind, origin, calls, priced, unpriced, errors, interrupted, input_uncached, cache_read, cache_write_5m, cache_write_1h, input_audio, input_image, output_text, output_reasoning, output_audio, output_image, web_searches, input_tokens, output_tokens, cost_nano_usd, cache_saved_nano_usd, total_us)
SELECT
    project, environment, day, user_id, key_id, provider, model, kind, origin,
    sum(calls_) AS calls,
    sum(priced_) AS priced,
    sum(unpriced_) AS unpriced,
    sum(errors_) AS errors,
    sum(interrupted_) AS interrupted,
    sum(input_uncached_) AS input_uncached,
    sum(cache_read_) AS cache_read,
    sum(cache_write_5m_) AS cache_write_5m,
    sum(cache_write_1h_) AS cache_write_1h,
    sum(input_audio_) AS input_audio,
    sum(input_image_) AS input_image,
    sum(output_text_) AS output_text,
    sum(output_reasoning_) AS output_reasoning,
    sum(output_audio_) AS output_audio,
    sum(output_image_) AS output_image,
    sum(web_searches_) AS web_searches,
    sum(input_tokens_) AS input_tokens,
    sum(output_tokens_) AS output_tokens,
    sum(cost_nano_usd_) AS cost_nano_usd,
    sum(cache_saved_nano_usd_) AS cache_saved_nano_usd,
    sum(total_us_) AS total_us
FROM (
    SELECT
        toString(project) AS project, toString(environment) AS environment, toDate(started_at) AS day, user_id,
        toString(key_id) AS key_id, toString(provider) AS provider,
        toString(if(served_model = '', spans.model, served_model)) AS model, toString(kind) AS kind,
        toString(origin) AS origin,
        toInt64(1) AS calls_,
        toInt64(isNotNull(spans.cost_nano_usd)) AS priced_,
        toInt64(isNull(spans.cost_nano_usd)) AS unpriced_,
        toInt64(status = 'error') AS errors_,
        toInt64(status = 'interrupted') AS interrupted_,
        toInt64(spans.input_uncached) AS input_uncached_,
        toInt64(spans.cache_read) AS cache_read_,
        toInt64(spans.cache_write_5m) AS cache_write_5m_,
        toInt64(spans.cache_write_1h) AS cache_write_1h_,
        toInt64(spans.input_audio) AS input_audio_,
        toInt64(spans.input_image) AS input_image_,
        toInt64(spans.output_text) AS output_text_,
        toInt64(spans.output_reasoning) AS output_reasoning_,
        toInt64(spans.output_audio) AS output_audio_,
        toInt64(spans.output_image) AS output_image_,
        toInt64(spans.web_searches) AS web_searches_,
        toInt64(spans.input_tokens) AS input_tokens_,
        toInt64(spans.output_tokens) AS output_tokens_,
        toInt64(ifNull(spans.cost_nano_usd, 0)) AS cost_nano_usd_,
        toInt64(spans.cache_saved_nano_usd) AS cache_saved_nano_usd_,
        toInt64(spans.total_us) AS total_us_
    FROM spans
    WHERE spans.origin = {origin:String}
      AND started_at >= toDateTime64({day:String}, 6, 'UTC')
      AND started_at < toDateTime64({day:String}, 6, 'UTC') + INTERVAL 1 DAY
    UNION ALL
    SELECT
        toString(project), toString(environment), day, user_id, toString(key_id), toString(provider),
        toString(model), toString(kind), toString(origin),
        -usage_daily.calls,
        -usage_daily.priced,
        -usage_daily.unpriced,
        -usage_daily.errors,
        -usage_daily.interrupted,
        -usage_daily.input_uncached,
        -usage_daily.cache_read,
        -usage_daily.cache_write_5m,
        -usage_daily.cache_write_1h,
        -usage_daily.input_audio,
        -usage_daily.input_image,
        -usage_daily.output_text,
        -usage_daily.output_reasoning,
        -usage_daily.output_audio,
        -usage_daily.output_image,
        -usage_daily.web_searches,
        -usage_daily.input_tokens,
        -usage_daily.output_tokens,
        -usage_daily.cost_nano_usd,
        -usage_daily.cache_saved_nano_usd,
        -usage_daily.total_us
    FROM usage_daily
    WHERE usage_daily.origin = {origin:String} AND usage_daily.day = toDate({day:String})
)
WHERE toYYYYMM(day) NOT IN (SELECT month FROM dropped_months)
GROUP BY project, environment, day, user_id, key_id, provider, model, kind, origin
HAVING calls != 0 OR priced != 0 OR unpriced != 0 OR input_tokens != 0 OR output_tokens != 0 OR cost_nano_usd != 0
