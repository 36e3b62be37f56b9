-- The corrections of one call, oldest first.
SELECT
    old_nano_usd, new_nano_usd, delta_nano_usd, new_lines, toString(old_price_row) AS old_price_row,
    toString(old_price_version) AS old_price_version, toString(new_price_row) AS new_price_row,
    toString(new_price_version) AS new_price_version, reason, toUnixTimestamp64Micro(corrected_at) AS corrected_at_us
FROM cost_corrections
WHERE project = {project:String} AND environment = {environment:String} AND call_id = {call_id:String}
  AND toStartOfHour(started_at) = toStartOfHour(fromUnixTimestamp64Micro({started_at_us:Int64}, 'UTC'))
ORDER BY corrected_at
