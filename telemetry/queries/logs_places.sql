-- Where a log of this id stands.
SELECT project, environment, call_id, toUnixTimestamp64Micro(started_at) AS started_at_us
FROM span_index
WHERE {{index_scope}} AND key = 'log_id' AND value = {log_id:String}
LIMIT 2
