-- How recalls went: calls for which something was looked for or put back, our own for the memory left out.
-- What introduces a user is part of what a call was given.
SELECT
    toInt64(countIf(looked)) AS recalls,
    toInt64(countIf(memory_status = 'injected')) AS injected,
    toInt64(countIf(memory_status = 'replayed')) AS replayed,
    toInt64(countIf(memory_status = 'empty')) AS abstained,
    toInt64(countIf(memory_status = 'timeout')) AS timeouts,
    toInt64(countIf(memory_status = 'error')) AS errors,
    toInt64(countIf(startsWith(memory_status, 'skipped'))) AS skipped,
    toInt64(sumIf(added, looked)) AS tokens,
    toInt64(sumIf(length(memory_ids), looked)) AS memories,
    avgIf(arrayMax(memory_scores), notEmpty(memory_scores)) AS best_score,
    toInt64(countIf(added > 0 AND has_price)) AS priced,
    toInt64(sumIf(input_cost * least(1, added / greatest(1, input_tokens)), added > 0 AND has_price))
        AS cost_nano_usd,
    quantilesIf(0.5, 0.9, 0.95, 0.99)(toFloat64(memory_latency_us), looked) AS spread_latency_us
FROM (
    SELECT
        toString(spans.memory_status) AS memory_status, memory_ids, memory_scores, memory_latency_us,
        memory_tokens + memory_profile_tokens AS added,
        spans.input_tokens AS input_tokens, isNotNull(spans.cost_nano_usd) AS has_price,
        arraySum(mapValues(mapFilter((name, _) -> match(name, '^(input|cache)_'), spans.cost_lines))) AS input_cost,
        memory_status != '' AND NOT startsWith(memory_status, 'skipped') AS looked
    FROM spans
    WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
      AND spans.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
      AND spans.started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
      AND NOT startsWith(spans.step, 'memory.')
)
