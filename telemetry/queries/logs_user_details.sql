-- What the rollup does not say of some users: the time to the first token. Their calls lie everywhere, so the index is no shorter way.
SELECT
    logs.project AS project, logs.environment AS environment, logs.user_id AS customer_identifier,
    if(countIf(logs.first_token_us > 0) = 0, NULL, avgIf(logs.first_token_us, logs.first_token_us > 0) / 1e6) AS average_ttft
FROM ({{rows}}) AS logs
WHERE logs.user_id IN {ids:Array(String)}
GROUP BY project, environment, customer_identifier
