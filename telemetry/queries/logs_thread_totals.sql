-- What some threads hold, all their calls together.
SELECT
    logs.project AS project, logs.environment AS environment, logs.thread_id AS thread_id,
    toInt64(count()) AS log_count,
    toInt64(countIf(logs.status = 'error')) AS error_count,
    toInt64(sum(ifNull(logs.cost_nano_usd, 0))) AS cost_nano_usd,
    toInt64(sum(logs.input_tokens)) AS total_prompt_tokens,
    toInt64(sum(logs.output_tokens)) AS total_completion_tokens,
    min(toUnixTimestamp64Micro(logs.started_at)) AS first_us,
    max(toUnixTimestamp64Micro(logs.started_at)) AS last_us,
    argMax(logs.user_id, logs.started_at) AS customer_identifier,
    argMax(toString(logs.model), logs.started_at) AS model
FROM ({{rows}}) AS logs
WHERE logs.thread_id IN {index_values:Array(String)}
GROUP BY project, environment, thread_id
