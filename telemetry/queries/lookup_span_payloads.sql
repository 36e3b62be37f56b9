-- Which payloads of these calls have their row.
SELECT call_id, kind AS part
FROM span_payloads
WHERE call_id IN {ids:Array(String)}
  AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
