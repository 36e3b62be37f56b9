-- Which logs of these ids the ledger has, and when they began.
SELECT value AS log_id, call_id, toUnixTimestamp64Micro(started_at) AS started_at_us
FROM span_index
WHERE project = {project:String}
  AND environment = {environment:String}
  AND key = 'log_id'
  AND value IN {ids:Array(String)}
