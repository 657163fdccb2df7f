#!lua flags=no-writes
-- Reads a page of the listing, latest first, from a position on: a bounded number of entries is looked at.
-- Transition: none
-- Keys: days
-- Arguments: now (unused), start time before or at which to begin (ms; -1: at the latest), id after which to begin among
--   those of that time (empty: all), status (empty: any), graph name (empty: any), most executions, most entries looked at
-- Returns: whether there may be more (1 or 0), start time (ms) and id of the last entry looked at, then for each execution:
--   id, start time (ms), status
-- Statuses: none
-- Atomic: the read
--- @include listing
local from_ms, after, status, graph = tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local most, looks = tonumber(ARGV[6]), tonumber(ARGV[7])
local replies, looked, place_ms, place_id = {}, 0, from_ms, after

local function matches(found)
  local stands, of = string.match(found or '', '^(%S+) (%S+)$')
  return stands and (status == '' or status == stands) and (graph == '' or graph == of) and stands
end

-- Takes entries of one day until the page is full or enough was looked at; returns whether it came to the day's end.
local function take(day)
  local list, about = list_keys(day)
  local latest = from_ms >= 0 and from_ms or '+inf'
  local offset = 0
  while true do
    local found = redis.call('ZRANGE', list, latest, '-inf', 'BYSCORE', 'REV', 'LIMIT', offset, 100, 'WITHSCORES')
    for i = 1, #found, 2 do
      local id, at = found[i], tonumber(found[i + 1])
      -- Members of equal score stand in the reverse order of their names.
      if at ~= from_ms or after == '' or id < after then
        if #replies == most or looked == looks then return false end
        looked, place_ms, place_id = looked + 1, at, id
        local stands = matches(redis.call('HGET', about, id))
        if stands then replies[#replies + 1] = { id, int(at), stands } end
      end
    end
    if #found < 200 then return true end
    offset = offset + 100
  end
end

local newest = from_ms >= 0 and day_of(from_ms) or '+inf'
local more = 0
for _, day in ipairs(redis.call('ZRANGE', keys.days, newest, '-inf', 'BYSCORE', 'REV')) do
  if not take(day) then
    more = 1
    break
  end
end
return { more, int(place_ms), place_id, unpack(replies) }
