-- What a user cost in a period.
SELECT toInt64(sum(usage_daily.cost_nano_usd)) AS cost_nano_usd
FROM usage_daily
WHERE project = {project:String} AND environment = {environment:String} AND user_id = {user_id:String}
  AND usage_daily.day >= toDate({from_day:String}) AND usage_daily.day <= toDate({to_day:String})
