-- The beginning of what was said, for the calls of one page.
SELECT call_id, kind, preview
FROM span_payloads
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND call_id IN {ids:Array(String)}
  AND toStartOfHour(started_at) IN (
    SELECT DISTINCT toStartOfHour(fromUnixTimestamp64Micro(arrayJoin({times:Array(Int64)}), 'UTC'))
  )
