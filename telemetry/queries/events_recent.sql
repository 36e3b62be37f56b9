-- A page of events, the one with the newest matching call first; `from_us` is where the asker begins to look.
SELECT
    spans.event_id AS event_id,
    argMax(spans.call_id, (spans.started_at, spans.call_id)) AS last_call_id,
    max(spans.started_at) AS last_at,
    toUnixTimestamp64Micro(last_at) AS last_us
FROM spans
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND spans.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND spans.started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
  AND ({model:String} = '' OR model = {model:String} OR served_model = {model:String})
  AND ({status:String} = '' OR status = {status:String})
  AND ({user_id:String} = '' OR user_id = {user_id:String})
  AND ({thread_id:String} = '' OR thread_id = {thread_id:String})
  AND ({text:String} = ''
    OR positionCaseInsensitiveUTF8(error_message, {text:String}) > 0
    OR positionCaseInsensitiveUTF8(spans.event_id, {text:String}) > 0
    OR spans.call_id = {text:String}
    OR spans.call_id IN (
        SELECT call_id
        FROM span_payloads
        WHERE {text:String} != ''
          AND ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
          AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
          AND started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
          AND positionCaseInsensitiveUTF8(preview, {text:String}) > 0
    ))
GROUP BY spans.event_id
HAVING (last_at, event_id) < (fromUnixTimestamp64Micro({before_us:Int64}, 'UTC'), {before_id:String})
ORDER BY last_at DESC, event_id DESC
LIMIT {limit:UInt32}
