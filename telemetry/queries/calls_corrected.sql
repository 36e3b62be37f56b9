-- The calls with what they cost after all, to be selected from like the table itself; the rollup has that anyway.
(
    SELECT spans.* REPLACE (
        if(newest.call_id = '', spans.cost_nano_usd, newest.cost) AS cost_nano_usd,
        if(newest.call_id = '', spans.cost_lower_nano_usd, newest.cost) AS cost_lower_nano_usd,
        if(newest.call_id = '', spans.cost_upper_nano_usd, newest.cost) AS cost_upper_nano_usd,
        if(newest.call_id = '', spans.cost_lines, newest.lines) AS cost_lines,
        multiIf(newest.call_id = '', spans.cost_reason, newest.row = 'batch output', 'settled', '') AS cost_reason,
        if(newest.call_id = '', spans.cache_saved_nano_usd, newest.saved) AS cache_saved_nano_usd,
        if(newest.call_id = '', spans.price_row, newest.row) AS price_row,
        if(newest.call_id = '', spans.price_version, newest.version) AS price_version
    )
    FROM spans
    LEFT JOIN (
        SELECT
            cost_corrections.call_id AS call_id,
            argMax(new_nano_usd, corrected_at) AS cost,
            argMax(new_saved_nano_usd, corrected_at) AS saved,
            argMax(new_lines, corrected_at) AS lines,
            argMax(new_price_row, corrected_at) AS row,
            argMax(new_price_version, corrected_at) AS version
        FROM cost_corrections
        WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
          AND cost_corrections.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
          AND cost_corrections.started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
        GROUP BY cost_corrections.call_id
    ) AS newest ON newest.call_id = spans.call_id
) AS spans
