-- One call; its id says in which hours to look.
SELECT
    {{call_columns}},
    memory_block, memory_anchor
FROM {{calls}}
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND call_id = {call_id:String}
  AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND started_at <= fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
LIMIT 1
