-- What must be equal, for one origin since a day: the ledger's sums and the rollup's. Corrections count whatever their day.
SELECT
    (SELECT toInt64(count()) FROM spans
     WHERE origin = {origin:String} AND started_at >= toDateTime64({day:String}, 6, 'UTC')) AS ledger_calls,
    (SELECT sum(calls) FROM usage_daily
     WHERE origin = {origin:String} AND day >= toDate({day:String})) AS rollup_calls,
    (SELECT toInt64(sum(ifNull(cost_nano_usd, 0))) FROM spans
     WHERE origin = {origin:String} AND started_at >= toDateTime64({day:String}, 6, 'UTC')) AS ledger_nano_usd,
    (SELECT sum(cost_nano_usd) FROM usage_daily
     WHERE origin = {origin:String} AND day >= toDate({day:String})) AS rollup_nano_usd,
    (SELECT sum(delta_nano_usd) FROM cost_corrections
     WHERE origin = {origin:String} AND toYYYYMM(started_at) NOT IN (SELECT month FROM dropped_months)) AS ledger_corrections_nano_usd,
    (SELECT sum(cost_nano_usd) FROM usage_daily
     WHERE origin = concat('rerate:', {origin:String}) AND toYYYYMM(day) NOT IN (SELECT month FROM dropped_months)) AS rollup_corrections_nano_usd
