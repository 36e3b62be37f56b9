-- What these calls cost after their last correction.
SELECT
    call_id,
    argMax(new_nano_usd, corrected_at) AS cost_nano_usd,
    argMax(new_saved_nano_usd, corrected_at) AS cache_saved_nano_usd,
    argMax(toString(new_price_row), corrected_at) AS price_row,
    argMax(toString(new_price_version), corrected_at) AS price_version,
    toInt64(count()) AS corrections
FROM cost_corrections
WHERE origin = {origin:String}
  AND call_id IN {ids:Array(String)}
  AND toStartOfHour(started_at) = toStartOfHour(fromUnixTimestamp64Micro({hour_us:Int64}, 'UTC'))
GROUP BY call_id
