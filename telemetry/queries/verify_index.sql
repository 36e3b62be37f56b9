-- Rows of the index on one day of one origin.
SELECT toInt64(count()) AS entries
FROM span_index
WHERE origin = {origin:String}
  AND started_at >= toDateTime64({day:String}, 6, 'UTC')
  AND started_at < toDateTime64({day:String}, 6, 'UTC') + INTERVAL 1 DAY
