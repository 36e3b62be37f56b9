-- What was said of some users, or of some calls: the newest word on each field.
SELECT project, environment, id, mapFromArrays(groupArray(name), groupArray(value)) AS fields
FROM (
    SELECT
        amendments.project AS project, amendments.environment AS environment, amendments.id AS id,
        toString(entry.1) AS name, argMax(entry.2, made_at) AS value
    FROM amendments
    ARRAY JOIN arrayZip(mapKeys(amendments.fields), mapValues(amendments.fields)) AS entry
    WHERE {{amendments_scope}} AND target = {target:String} AND amendments.id IN {ids:Array(String)}
    GROUP BY project, environment, id, name
)
GROUP BY project, environment, id
