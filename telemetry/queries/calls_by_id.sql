-- These calls, with all their columns, in whatever order.
SELECT
    {{call_columns}}
FROM {{calls}}
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND call_id IN {ids:Array(String)}
  AND toStartOfHour(started_at) IN (
    SELECT DISTINCT toStartOfHour(fromUnixTimestamp64Micro(arrayJoin({times:Array(Int64)}), 'UTC'))
  )
