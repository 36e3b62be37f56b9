-- Calls and logs as they are told now: what was amended later counts. A relation for other queries.
SELECT spans.* REPLACE (
    if(mapContains(told.fields, 'user_id'), told.fields['user_id'], spans.user_id) AS user_id,
    if(mapContains(told.fields, 'event_id'), told.fields['event_id'], spans.event_id) AS event_id,
    spans.event_id_made AND NOT mapContains(told.fields, 'event_id') AS event_id_made,
    if(mapContains(told.fields, 'thread_id'), told.fields['thread_id'], spans.thread_id) AS thread_id,
    mapUpdate(
        CAST(spans.properties, 'Map(String, String)'),
        mapApply((name, value) -> (substring(name, 10), value), mapFilter((name, value) -> startsWith(name, 'property:'), told.fields))
    ) AS properties
)
FROM spans
LEFT JOIN (
    SELECT id, mapFromArrays(groupArray(name), groupArray(value)) AS fields
    FROM (
        SELECT amendments.id AS id, toString(entry.1) AS name, argMax(entry.2, made_at) AS value
        FROM amendments
        ARRAY JOIN arrayZip(mapKeys(amendments.fields), mapValues(amendments.fields)) AS entry
        WHERE target = 'log' AND {{amendments_scope}}
        GROUP BY id, name
    )
    GROUP BY id
) AS told ON told.id = spans.call_id
WHERE {{spans_scope}} AND {{spans_range}} AND {{narrowed}}
