-- A page of threads, the one with the newest call first.
SELECT
    logs.project AS project, logs.environment AS environment, logs.thread_id AS thread_id,
    max(toUnixTimestamp64Micro(logs.started_at)) AS last_us
FROM ({{rows}}) AS logs
WHERE logs.thread_id != '' AND {{condition}}
GROUP BY project, environment, thread_id
ORDER BY last_us DESC, thread_id
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
