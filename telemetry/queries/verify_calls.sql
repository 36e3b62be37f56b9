-- What became of these calls, one line for each row.
SELECT call_id, status
FROM spans
WHERE call_id IN {ids:Array(String)}
  AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
