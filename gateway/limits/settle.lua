-- Gives a call's places back and corrects its tokens: `Counters.settle` of core.py.
-- ARGV[1] is msgpack: the second of the bucket, the tokens it took, and the demand.
local WINDOW = 60
local told = cmsgpack.unpack(ARGV[1])
local second, by, demand = told[1], told[2] - told[3][2], told[3]
for _, part in ipairs(demand[3]) do
  local key, tpm, most = KEYS[1] .. ':' .. part[1], part[3], part[4]
  if most > 0 then redis.call('ZREM', key .. ':calls', demand[1]) end
  if tpm > 0 and by ~= 0 then
    local slot = 't' .. second % WINDOW
    local known = redis.call('HMGET', key, 's', slot, 't')
    local last, taken = tonumber(known[1]), tonumber(known[2])
    if last and taken and second > last - WINDOW then
      local change = math.max(by, -taken)
      redis.call('HSET', key, slot, taken + change, 't', tonumber(known[3]) + change)
    end
  end
end
return 0
