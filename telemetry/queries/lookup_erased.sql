-- Which of these calls are those of somebody who was erased.
SELECT call_id
FROM spans
WHERE call_id IN {ids:Array(String)} AND user_id = 'erased'
  AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
