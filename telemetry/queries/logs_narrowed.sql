-- A condition on spans: calls that belong to one of some ids, or were amended to.
(toStartOfHour(spans.started_at), spans.call_id) IN (
    SELECT toStartOfHour(started_at), call_id
    FROM span_index
    WHERE {{index_scope}} AND key = {index_key:String} AND value IN {index_values:Array(String)}
    UNION ALL
    SELECT toStartOfHour(started_at), id
    FROM amendments
    WHERE {{amendments_scope}} AND target = 'log' AND fields[{amended_key:String}] IN {index_values:Array(String)}
)
AND toStartOfHour(spans.started_at) IN (
    SELECT toStartOfHour(started_at)
    FROM span_index
    WHERE {{index_scope}} AND key = {index_key:String} AND value IN {index_values:Array(String)}
    UNION ALL
    SELECT toStartOfHour(started_at)
    FROM amendments
    WHERE {{amendments_scope}} AND target = 'log' AND fields[{amended_key:String}] IN {index_values:Array(String)}
)
