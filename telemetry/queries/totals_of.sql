-- What one event or thread used, all its calls together.
SELECT
    toInt64(count()) AS calls,
    toInt64(countIf(isNotNull(spans.cost_nano_usd))) AS priced,
    toInt64(countIf(isNull(spans.cost_nano_usd))) AS unpriced,
    toInt64(countIf(status = 'error')) AS errors,
    toInt64(countIf(status = 'interrupted')) AS interrupted,
    toInt64(countIf(status = 'cancelled')) AS cancelled,
    toInt64(sum(spans.input_tokens)) AS input_tokens,
    toInt64(sum(spans.output_tokens)) AS output_tokens,
    toInt64(sum(ifNull(spans.cost_nano_usd, 0))) AS cost_nano_usd,
    toUnixTimestamp64Micro(min(started_at)) AS first_us,
    toUnixTimestamp64Micro(max(started_at)) AS last_us
FROM {{calls}}
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND toStartOfHour(started_at) IN (
    SELECT DISTINCT toStartOfHour(started_at)
    FROM span_index
    WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String})) AND key = {key:String} AND value = {value:String}
  )
  AND call_id IN (
    SELECT call_id
    FROM span_index
    WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String})) AND key = {key:String} AND value = {value:String}
  )
