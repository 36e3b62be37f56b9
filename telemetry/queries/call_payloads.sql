-- What was said in one call.
SELECT kind, content_type, toValidUTF8(body) AS text, bytes_total, length(body) AS bytes_kept, sha256, redactions
FROM span_payloads
WHERE project = {project:String}
  AND call_id = {call_id:String}
  AND toStartOfHour(started_at) = toStartOfHour(fromUnixTimestamp64Micro({started_at_us:Int64}, 'UTC'))
LIMIT 2
