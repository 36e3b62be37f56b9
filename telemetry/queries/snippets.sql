-- What stands around a word, for the payloads of one page.
SELECT
    call_id, toString(span_payloads.kind) AS part,
    if(empty(extract(toValidUTF8(body), {around:String}) AS inside),
        extract(toValidUTF8(preview), {around:String}), inside) AS snippet
FROM span_payloads
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND call_id IN {ids:Array(String)}
  AND toStartOfHour(started_at) IN (
    SELECT DISTINCT toStartOfHour(fromUnixTimestamp64Micro(arrayJoin({times:Array(Int64)}), 'UTC'))
  )
