-- How long events took from their first call to the end of their last, the memory's own calls left out.
SELECT
    toInt64(count()) AS events,
    toInt64(sum(calls)) AS calls,
    quantiles(0.5, 0.9, 0.95, 0.99)(toFloat64(took_us)) AS spread_total_us
FROM (
    SELECT
        spans.project AS project, spans.environment AS environment, spans.event_id AS event_id, count() AS calls,
        max(toUnixTimestamp64Micro(spans.started_at) + toInt64(spans.total_us))
            - min(toUnixTimestamp64Micro(spans.started_at)) AS took_us
    FROM spans
    WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
      AND spans.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
      AND spans.started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
      AND spans.event_id != '' AND NOT startsWith(spans.step, 'memory.')
    GROUP BY project, environment, event_id
)
