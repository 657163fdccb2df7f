-- What every script begins with: the schemas and the clock.

-- Every record names the schema of the release that created it. A release reads its own and its predecessor's, and leaves
-- a later one's alone: servers of two adjacent releases share a store while they are replaced one by one.
local SCHEMA = '1'
local READABLE = { ['1'] = true }

local function readable(policy)
  return READABLE[string.match(policy, '^%S+')]
end

local now = tonumber(ARGV[1]) -- ms
local now_us
if now == 0 then
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
  now = math.floor(now_us / 1000)
else
  now_us = now * 1000
end

-- Lua writes numbers above 1e14 with an exponent; fences and orders are larger, up to 2^53.
local function int(number)
  return string.format('%d', number)
end
