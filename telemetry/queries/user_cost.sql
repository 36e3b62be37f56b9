-- What a user's calls cost, from the rollup.
SELECT
    if({by_day:UInt8} = 1, toString(usage_daily.day), '') AS day,
    if({by_model:UInt8} = 1, toString(usage_daily.model), '') AS model,
    sum(usage_daily.calls) AS calls,
    sum(usage_daily.priced) AS priced,
    sum(usage_daily.unpriced) AS unpriced,
    sum(usage_daily.errors) AS errors,
    sum(usage_daily.interrupted) AS interrupted,
    sum(usage_daily.input_tokens) AS input_tokens,
    sum(usage_daily.output_tokens) AS output_tokens,
    sum(usage_daily.cost_nano_usd) AS cost_nano_usd
FROM usage_daily
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND user_id = {user_id:String}
  AND usage_daily.day >= toDate({from_day:String}) AND usage_daily.day <= toDate({to_day:String})
GROUP BY day, model
HAVING calls != 0
ORDER BY day, model
