-- What answers were made of and what they cost: with memories in the prompt, and without.
SELECT
    toUInt8(notEmpty(spans.memory_ids) OR spans.memory_replayed > 0) AS with_memory,
    toInt64(count()) AS answers,
    toInt64(countIf(spans.finish_reason IN
        ('length', 'max_tokens', 'MAX_TOKENS', 'max_output_tokens', 'model_context_window_exceeded'))) AS truncated,
    toInt64(sum(spans.input_tokens)) AS input_tokens,
    toInt64(sum(spans.output_tokens)) AS output_tokens,
    toInt64(sum(spans.cache_read)) AS cache_read,
    toInt64(countIf(isNotNull(spans.cost_nano_usd))) AS priced,
    toInt64(sum(ifNull(spans.cost_nano_usd, 0))) AS cost_nano_usd,
    quantiles(0.5, 0.9, 0.95, 0.99)(toFloat64(spans.input_tokens)) AS spread_context_tokens,
    quantilesIf(0.5, 0.9, 0.95, 0.99)(toFloat64(spans.total_us), spans.total_us > 0) AS spread_total_us
FROM {{calls}}
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND spans.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND spans.started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
  AND spans.kind = 'llm' AND spans.status = 'ok' AND NOT startsWith(spans.step, 'memory.')
GROUP BY with_memory
ORDER BY with_memory
