-- What logs last called some users. Only calls that name anybody are read.
SELECT
    logs.project AS project, logs.environment AS environment, logs.user_id AS customer_identifier,
    argMaxIf(logs.properties['customer_email'], logs.started_at, logs.properties['customer_email'] != '') AS email,
    argMaxIf(logs.properties['customer_name'], logs.started_at, logs.properties['customer_name'] != '') AS name
FROM ({{rows}}) AS logs
WHERE logs.user_id IN {ids:Array(String)}
  AND (toStartOfHour(logs.started_at), logs.call_id) IN (
    SELECT toStartOfHour(started_at), call_id
    FROM span_index
    WHERE {{index_scope}} AND key IN ('property:customer_email', 'property:customer_name')
    UNION ALL
    SELECT toStartOfHour(started_at), id
    FROM amendments
    WHERE {{amendments_scope}} AND target = 'log'
  )
GROUP BY project, environment, customer_identifier
