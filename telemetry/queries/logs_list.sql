-- A page of a list.
SELECT {{columns}}
FROM ({{rows}}) AS logs
WHERE {{condition}}
ORDER BY {{order}}, logs.call_id DESC
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
