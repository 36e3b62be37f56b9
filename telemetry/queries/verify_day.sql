-- One day of one origin: its calls, and how many of them are different ones.
SELECT toInt64(count()) AS calls, toInt64(uniqExact(call_id)) AS ids
FROM spans
WHERE origin = {origin:String}
  AND started_at >= toDateTime64({day:String}, 6, 'UTC')
  AND started_at < toDateTime64({day:String}, 6, 'UTC') + INTERVAL 1 DAY
