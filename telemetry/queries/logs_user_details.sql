-- What the rollup does not say of some users: the time to the first token, and what their logs last called them.
SELECT
    logs.project AS project, logs.environment AS environment, logs.user_id AS customer_identifier,
    if(countIf(logs.first_token_us > 0) = 0, NULL, avgIf(logs.first_token_us, logs.first_token_us > 0) / 1e6) AS average_ttft,
    argMaxIf(logs.properties['customer_email'], logs.started_at, logs.properties['customer_email'] != '') AS email,
    argMaxIf(logs.properties['customer_name'], logs.started_at, logs.properties['customer_name'] != '') AS name
FROM ({{rows}}) AS logs
WHERE logs.user_id IN {index_values:Array(String)}
GROUP BY project, environment, customer_identifier
