-- A page of the calls that belong to an event, a thread or a user, newest first. The index says which, and in
-- which hours they lie, so that only those are read. `index_limit` is one page if no other filter can thin it out.
SELECT
    {{call_columns}}
FROM spans
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND toStartOfHour(started_at) IN (
    SELECT DISTINCT toStartOfHour(started_at) FROM (
        SELECT started_at
        FROM span_index
        WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String})) AND key = {key:String} AND value = {value:String}
          AND (started_at, call_id) < (fromUnixTimestamp64Micro({before_us:Int64}, 'UTC'), {before_id:String})
        ORDER BY started_at DESC, call_id DESC
        LIMIT {index_limit:UInt32}
    )
  )
  AND call_id IN (
    SELECT call_id
    FROM span_index
    WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String})) AND key = {key:String} AND value = {value:String}
      AND (started_at, call_id) < (fromUnixTimestamp64Micro({before_us:Int64}, 'UTC'), {before_id:String})
    ORDER BY started_at DESC, call_id DESC
    LIMIT {index_limit:UInt32}
  )
  AND ({event_id:String} = '' OR event_id = {event_id:String})
  AND ({thread_id:String} = '' OR thread_id = {thread_id:String})
  AND ({user_id:String} = '' OR user_id = {user_id:String})
  AND ({model:String} = '' OR model = {model:String} OR served_model = {model:String})
  AND ({status:String} = '' OR status = {status:String})
ORDER BY started_at DESC, call_id DESC
LIMIT {limit:UInt32}
