-- Those of these calls that made a batch, wait for its cost, and need not any longer: with the call that has counted it.
SELECT
    toString(made.project) AS project, toString(made.environment) AS environment, made.call_id AS call_id,
    toUnixTimestamp64Micro(made.started_at) AS started_at_us, made.user_id AS user_id,
    toString(made.key_id) AS key_id, toString(made.provider) AS provider,
    toString(if(made.served_model = '', made.model, made.served_model)) AS priced_model, toString(made.kind) AS kind,
    made.cost_nano_usd AS cost_nano_usd, made.cache_saved_nano_usd AS cache_saved_nano_usd,
    toString(made.price_row) AS price_row, toString(made.price_version) AS price_version,
    min(counted.call_id) AS settled_by
FROM spans AS made
INNER JOIN (
    SELECT call_id, properties['settles'] AS settles, provider, response_id
    FROM spans
    WHERE service_tier = 'batch'
      AND toStartOfHour(started_at) IN (
        SELECT toStartOfHour(started_at) FROM span_index WHERE key = 'property:settles' AND value IN {ids:Array(String)}
      )
      AND call_id IN (
        SELECT call_id FROM span_index WHERE key = 'property:settles' AND value IN {ids:Array(String)}
      )
) AS counted
ON counted.settles = made.call_id AND counted.provider = made.provider AND counted.response_id = made.response_id
WHERE made.origin = {origin:String}
  AND made.call_id IN {ids:Array(String)}
  AND made.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND made.started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
  AND made.cost_reason = 'pending' AND made.response_id != ''
  AND made.call_id NOT IN (
    SELECT cost_corrections.call_id FROM cost_corrections
    WHERE cost_corrections.call_id IN {ids:Array(String)}
      AND cost_corrections.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
      AND cost_corrections.started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
  )
GROUP BY ALL
ORDER BY call_id
