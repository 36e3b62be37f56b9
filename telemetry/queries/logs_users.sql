-- A page of users, from the rollup.
SELECT
    usage_daily.project AS project, usage_daily.environment AS environment, usage_daily.user_id AS customer_identifier,
    toString(min(usage_daily.day)) AS first_seen,
    toString(max(usage_daily.day)) AS last_active_timeframe,
    toInt64(uniqExactIf(usage_daily.day, usage_daily.calls != 0)) AS active_days,
    toInt64(uniqExact(toYYYYMM(usage_daily.day))) AS active_months,
    toInt64(sum(usage_daily.calls)) AS number_of_requests,
    toInt64(sum(usage_daily.unpriced)) AS unpriced_requests,
    toInt64(sum(usage_daily.input_tokens) + sum(usage_daily.output_tokens)) AS total_tokens,
    toInt64(sum(usage_daily.cost_nano_usd)) AS cost_nano_usd,
    if(number_of_requests = 0, 0, sum(usage_daily.total_us) / number_of_requests / 1e6) AS average_latency
FROM usage_daily
WHERE {{usage_scope}} AND usage_daily.user_id != ''
  AND usage_daily.day >= toDate({from_day:String}) AND usage_daily.day <= toDate({to_day:String})
GROUP BY project, environment, customer_identifier
HAVING number_of_requests > 0 AND {{condition}}
ORDER BY {{order}}, customer_identifier, environment, project
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
