-- What reading conversations cost: the memory's own calls, by what they are for.
SELECT
    toString(spans.step) AS purpose,
    toInt64(count()) AS calls,
    toInt64(uniqExactIf(spans.properties['memory-job'], spans.properties['memory-job'] != '')) AS jobs,
    toInt64(countIf(spans.status != 'ok')) AS failures,
    toInt64(sum(spans.input_tokens)) AS input_tokens,
    toInt64(sum(spans.output_tokens)) AS output_tokens,
    toInt64(countIf(isNotNull(spans.cost_nano_usd))) AS priced,
    toInt64(sum(ifNull(spans.cost_nano_usd, 0))) AS cost_nano_usd,
    quantilesIf(0.5, 0.9, 0.95, 0.99)(toFloat64(spans.total_us), spans.total_us > 0) AS spread_total_us
FROM {{calls}}
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND spans.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND spans.started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
  AND startsWith(spans.step, 'memory.')
GROUP BY purpose
ORDER BY purpose
