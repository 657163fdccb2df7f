#!lua flags=no-writes
-- Counts dead letters that are meant by reason and error type, from a place on.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), dead-letter time behind which to begin (ms; empty: at the beginning), id behind which to begin,
--   most to look at (items), dead-letter time before which to end (ms; 0: never), reason (empty: any), error type (as JSON
--   between quotes; empty: any), then bytes that the description must contain
-- Returns: the place to go on from (ms and id), more (1 or 0), how many were looked at, then for each group: reason, error type (as JSON between quotes),
--   count, how many of them have an outcome, dead-letter time of the first and of the last (ms), id of the last
-- Statuses: none
-- Atomic: the read
--- @include topic
--- @include walk
--- @include dead_letters
local after_at, after_id, look_at, until_at = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local wanted = { reason = ARGV[6], error_type = ARGV[7], parts = {} }
for i = 8, #ARGV do wanted.parts[i - 7] = ARGV[i] end

local OUTCOME = '^' .. string.rep('%S+ ', 12) .. '(%S+)' -- in a packed state, see include/record.lua

local groups, order, passed = {}, {}, false

local function add(id, since, reason, error_type, state)
  local name = reason .. ' ' .. error_type
  local group = groups[name]
  if not group then
    group = { reason, error_type, 0, 0, since, since, id }
    groups[name] = group
    order[#order + 1] = group
  end
  group[3], group[6], group[7] = group[3] + 1, since, id
  if string.match(state, OUTCOME) ~= '-' then group[4] = group[4] + 1 end
end

local at, id, more, visited = walk(keys.dead, after_at, after_id, look_at, false, function(each, since)
  if until_at > 0 and tonumber(since) >= until_at then passed = true return true end
  local reason, error_type, state = meant(each, wanted)
  if reason then add(each, since, reason, error_type, state) end
  return #order == 100
end)
return { at, id, more and not passed and 1 or 0, visited, unpack(order) }
