-- Adds the index rows of these calls that the view did not get to write; the same selections as in 0003_span_index.sql and 0007_logs.sql.
INSERT INTO span_index (project, key, value, started_at, call_id, environment, origin)
SELECT project, entry.1 AS key, entry.2 AS value, started_at, call_id, environment, origin
FROM spans
ARRAY JOIN arrayDistinct(arrayFilter(pair -> pair.2 != '', arrayConcat(
    [('event_id', event_id), ('thread_id', thread_id), ('user_id', user_id), ('trace_id', trace_id)],
    [('log_id', log_id), ('links_to', links_to)],
    arrayMap(tag -> ('tag', toString(tag)), tags),
    arrayMap((name, text) -> (concat('property:', toString(name)), text), mapKeys(properties), mapValues(properties))
))) AS entry
WHERE call_id IN {ids:Array(String)}
  AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
  AND (call_id, entry.1, entry.2) NOT IN (
    SELECT call_id, toString(key), value
    FROM span_index
    WHERE call_id IN {ids:Array(String)}
      AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
      AND started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
  )
