-- The hours in which one origin has calls.
SELECT toInt64(toUnixTimestamp(toStartOfHour(started_at))) * 1000000 AS hour_us
FROM spans
WHERE origin = {origin:String}
  AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
GROUP BY hour_us
ORDER BY hour_us
