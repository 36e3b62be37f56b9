-- Adds to the rollup of one origin's corrections what a kill kept the view from writing (or takes away).
INSERT INTO usage_daily (project, environment, day, user_id, key_id, provider, model, kind, origin, priced, unpriced, cost_nano_usd, cache_saved_nano_usd)
SELECT
    project, environment, day, user_id, key_id, provider, model, kind, concat('rerate:', {origin:String}) AS origin,
    sum(priced_) AS priced, sum(unpriced_) AS unpriced, sum(cost_) AS cost_nano_usd, sum(saved_) AS cache_saved_nano_usd
FROM (
    SELECT
        toString(project) AS project, toString(environment) AS environment, toDate(started_at) AS day, user_id,
        toString(key_id) AS key_id, toString(provider) AS provider, toString(model) AS model, toString(kind) AS kind,
        toInt64(newly_priced) AS priced_, -toInt64(newly_priced) AS unpriced_, delta_nano_usd AS cost_,
        new_saved_nano_usd - old_saved_nano_usd AS saved_
    FROM cost_corrections
    WHERE cost_corrections.origin = {origin:String}
      AND started_at >= toDateTime64({from_day:String}, 6, 'UTC')
      AND started_at < toDateTime64({to_day:String}, 6, 'UTC') + INTERVAL 1 DAY
    UNION ALL
    SELECT
        toString(project), toString(environment), day, user_id, toString(key_id), toString(provider),
        toString(model), toString(kind), -usage_daily.priced, -usage_daily.unpriced, -usage_daily.cost_nano_usd,
        -usage_daily.cache_saved_nano_usd
    FROM usage_daily
    WHERE usage_daily.origin = concat('rerate:', {origin:String})
      AND usage_daily.day >= toDate({from_day:String}) AND usage_daily.day <= toDate({to_day:String})
)
WHERE toYYYYMM(day) NOT IN (SELECT month FROM dropped_months)
GROUP BY project, environment, day, user_id, key_id, provider, model, kind
HAVING priced != 0 OR unpriced != 0 OR cost_nano_usd != 0 OR cache_saved_nano_usd != 0
