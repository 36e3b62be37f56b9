-- What was reported of answers with memories in the prompt and without: each number by its name.
SELECT
    toUInt8(notEmpty(spans.memory_ids) OR spans.memory_replayed > 0) AS with_memory,
    toString(metric) AS name,
    toInt64(count()) AS count,
    avg(number) AS mean
FROM spans
ARRAY JOIN mapKeys(spans.metrics) AS metric, mapValues(spans.metrics) AS number
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND spans.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND spans.started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
  AND spans.kind = 'llm' AND NOT startsWith(spans.step, 'memory.')
GROUP BY with_memory, name
ORDER BY with_memory, name
LIMIT 200
