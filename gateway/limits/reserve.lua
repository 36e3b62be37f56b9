-- Takes what one call asks for from every part, or from none: `Counters.reserve` of core.py, as one step in Redis.
-- ARGV[1] is msgpack: now in microseconds (0: the server's time), a lease's length, and the demand.
-- A subject is a hash: s the second it was last moved to, r and t the sums of its minute, r0..r59 and t0..t59 the
-- buckets, d when the next request of a smooth rate is due. Beside it a sorted set of calls by the end of their lease.
local WINDOW, SECOND, UNKNOWN_WAIT = 60, 1000000, 1000000
local asked = cmsgpack.unpack(ARGV[1])
local now, lease, demand = asked[1], asked[2], asked[3]
local call, tokens, parts = demand[1], demand[2], demand[3]
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * SECOND + time[2]
end
local second = math.floor(now / SECOND)

-- Move a minute on: what its oldest seconds held is forgotten.
local function move(key, state)
  local fields = {}
  for moved = math.max(state.s + 1, second - WINDOW + 1), second do
    fields[#fields + 1] = 'r' .. moved % WINDOW
    fields[#fields + 1] = 't' .. moved % WINDOW
  end
  local taken = redis.call('HMGET', key, unpack(fields))
  for i = 1, #fields, 2 do
    state.r = state.r - (tonumber(taken[i]) or 0)
    state.t = state.t - (tonumber(taken[i + 1]) or 0)
  end
  redis.call('HDEL', key, unpack(fields))
  state.s, state.in_r, state.in_t = second, 0, 0
  redis.call('HSET', key, 's', second, 'r', state.r, 't', state.t)
end

local function read(key)
  local known = redis.call('HMGET', key, 's', 'r', 't', 'd', 'r' .. second % WINDOW, 't' .. second % WINDOW)
  local state = {
    key = key,
    s = tonumber(known[1]) or second,
    r = tonumber(known[2]) or 0,
    t = tonumber(known[3]) or 0,
    d = tonumber(known[4]) or 0,
    in_r = tonumber(known[5]) or 0,
    in_t = tonumber(known[6]) or 0,
  }
  if state.s < second then move(key, state) end
  return state
end

-- How long it takes until so much of what was taken is forgotten.
local function room_in(key, kind, excess)
  local fields = {}
  for past = second - WINDOW + 1, second do fields[#fields + 1] = kind .. past % WINDOW end
  for i, taken in ipairs(redis.call('HMGET', key, unpack(fields))) do
    excess = excess - (tonumber(taken) or 0)
    if excess <= 0 then return (second + i) * SECOND - now end
  end
  return WINDOW * SECOND
end

local function places(key, most)
  local taken = redis.call('ZCARD', key)
  if taken >= most then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    taken = redis.call('ZCARD', key)
  end
  return taken
end

local kind, at, wait = 0, 0, 0
local function lacks(what, index, long)
  if kind == 0 or long > wait then kind, at, wait = what, index - 1, long end
end

local states = {}
for i, part in ipairs(parts) do
  local key, rpm, tpm, most, burst = KEYS[1] .. ':' .. part[1], part[2], part[3], part[4], part[5]
  local state = read(key)
  states[i] = state
  if burst > 0 then
    state.spacing = math.ceil(WINDOW * SECOND / rpm)
    local early = state.d - now - (burst - 1) * state.spacing
    if early > 0 then lacks(1, i, early) end
  elseif rpm > 0 and state.r + 1 > rpm then
    lacks(1, i, room_in(key, 'r', state.r + 1 - rpm))
  end
  if tpm > 0 and state.t + tokens > tpm then lacks(2, i, room_in(key, 't', state.t + tokens - tpm)) end
  if most > 0 and places(key .. ':calls', most) >= most then lacks(3, i, UNKNOWN_WAIT) end
end

local left = {}
for i, part in ipairs(parts) do
  local state, rpm, tpm, most, burst = states[i], part[2], part[3], part[4], part[5]
  if kind == 0 then
    local slot = second % WINDOW
    local written = {'s', state.s}
    local function put(field, value)
      written[#written + 1] = field
      written[#written + 1] = value
    end
    if burst > 0 then
      state.d = math.max(state.d, now) + state.spacing
      put('d', string.format('%.0f', state.d))
    elseif rpm > 0 then
      state.r = state.r + 1
      put('r', state.r)
      put('r' .. slot, state.in_r + 1)
    end
    if tpm > 0 then
      state.t = state.t + tokens
      put('t', state.t)
      put('t' .. slot, state.in_t + tokens)
    end
    if rpm + tpm > 0 then
      redis.call('HSET', state.key, unpack(written))
      local idle = math.max(now + WINDOW * SECOND, state.d) - now
      redis.call('PEXPIRE', state.key, math.ceil(idle / 1000) + 1000)
    end
    if most > 0 then
      redis.call('ZADD', state.key .. ':calls', string.format('%.0f', now + lease), call)
      redis.call('PEXPIRE', state.key .. ':calls', math.ceil(lease / 1000))
    end
  end
  local requests, rest = -1, -1
  if burst > 0 then
    requests = math.max(0, burst - math.ceil(math.max(0, state.d - now) / state.spacing))
  elseif rpm > 0 then
    requests = math.max(0, rpm - state.r)
  end
  if tpm > 0 then rest = math.max(0, tpm - state.t) end
  left[2 * i - 1], left[2 * i] = requests, rest
end
return cmsgpack.pack({second, kind, at, wait, left})
