-- Keeps the places of calls taken for another while: `Counters.renew` of core.py.
-- ARGV[1] is msgpack: now in microseconds (0: the server's time), a lease's length, and the leases.
local SECOND = 1000000
local told = cmsgpack.unpack(ARGV[1])
local now, lease = told[1], told[2]
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * SECOND + time[2]
end
local ends = string.format('%.0f', now + lease)
for _, one in ipairs(told[3]) do
  for _, subject in ipairs(one[2]) do
    local key = KEYS[1] .. ':' .. subject .. ':calls'
    redis.call('ZADD', key, ends, one[1])
    redis.call('PEXPIRE', key, math.ceil(lease / 1000))
  end
end
return 0
