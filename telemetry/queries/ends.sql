-- From when to when the ledger reaches; known without reading a row.
SELECT toUnixTimestamp64Micro(min(started_at)) AS first_us, toUnixTimestamp64Micro(max(started_at)) AS last_us
FROM spans
