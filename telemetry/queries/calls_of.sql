-- The calls of one event or thread, oldest first.
SELECT
    {{call_columns}}
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
      AND (started_at, call_id) > (fromUnixTimestamp64Micro({after_us:Int64}, 'UTC'), {after_id:String})
    ORDER BY started_at, call_id
    LIMIT {limit:UInt32}
  )
ORDER BY started_at, call_id
LIMIT {limit:UInt32}
