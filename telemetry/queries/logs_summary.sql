-- What all matching calls and logs used.
SELECT
    toInt64(count()) AS number_of_requests,
    toInt64(countIf(logs.status = 'error')) AS error_count,
    toInt64(countIf(isNull(logs.cost_nano_usd))) AS unpriced_requests,
    toInt64(sum(ifNull(logs.cost_nano_usd, 0))) AS cost_nano_usd,
    toInt64(sum(logs.input_tokens)) AS total_prompt_tokens,
    toInt64(sum(logs.output_tokens)) AS total_completion_tokens,
    if(count() = 0, NULL, avg(logs.total_us) / 1e6) AS average_latency,
    if(countIf(logs.first_token_us > 0) = 0, NULL, avgIf(logs.first_token_us, logs.first_token_us > 0) / 1e6) AS average_ttft,
    avgMap(CAST(logs.metrics, 'Map(String, Float64)')) AS scores
FROM ({{rows}}) AS logs
WHERE {{condition}}
