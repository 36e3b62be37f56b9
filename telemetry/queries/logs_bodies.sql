-- What was said in one call or log.
SELECT kind, toValidUTF8(body) AS text
FROM span_payloads
WHERE project = {project:String} AND environment = {environment:String} AND call_id = {call_id:String}
  AND toStartOfHour(started_at) = toStartOfHour(fromUnixTimestamp64Micro({started_at_us:Int64}, 'UTC'))
LIMIT 2
