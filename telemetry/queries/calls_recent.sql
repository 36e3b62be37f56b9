-- A page of calls, newest first.
SELECT
    {{call_columns}}
FROM spans
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND started_at <= fromUnixTimestamp64Micro({before_us:Int64}, 'UTC')
  AND (started_at, call_id) < (fromUnixTimestamp64Micro({before_us:Int64}, 'UTC'), {before_id:String})
  AND ({model:String} = '' OR model = {model:String} OR served_model = {model:String})
  AND ({status:String} = '' OR status = {status:String})
ORDER BY started_at DESC, call_id DESC
LIMIT {limit:UInt32}
