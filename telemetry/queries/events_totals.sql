-- What each of some events used, all its calls together.
SELECT
    spans.event_id AS event_id,
    toInt64(count()) AS calls,
    toInt64(countIf(isNotNull(spans.cost_nano_usd))) AS priced,
    toInt64(countIf(isNull(spans.cost_nano_usd))) AS unpriced,
    toInt64(countIf(status = 'error')) AS errors,
    toInt64(countIf(status = 'interrupted')) AS interrupted,
    toInt64(countIf(status = 'cancelled')) AS cancelled,
    toInt64(sum(spans.input_tokens)) AS input_tokens,
    toInt64(sum(spans.output_tokens)) AS output_tokens,
    toInt64(sum(ifNull(spans.cost_nano_usd, 0))) AS cost_nano_usd,
    arraySort(groupUniqArray(6)(toString(spans.model))) AS models,
    arraySort(groupUniqArrayIf(6)(spans.user_id, spans.user_id != '')) AS user_ids,
    toUnixTimestamp64Micro(min(spans.started_at)) AS first_us,
    toInt64(max(toUnixTimestamp64Micro(spans.started_at) + toInt64(spans.total_us))) - first_us AS total_us
FROM {{calls}}
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND toStartOfHour(started_at) IN (
    SELECT DISTINCT toStartOfHour(started_at)
    FROM span_index
    WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
      AND key = 'event_id' AND value IN {ids:Array(String)}
  )
  AND call_id IN (
    SELECT call_id
    FROM span_index
    WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
      AND key = 'event_id' AND value IN {ids:Array(String)}
  )
GROUP BY spans.event_id
