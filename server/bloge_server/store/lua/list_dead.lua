#!lua flags=no-writes
-- Reads ids of dead letters that are meant, oldest first, from a place on.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), dead-letter time behind which to begin (ms; empty: at the beginning), id behind which to begin,
--   most to look at (items), dead-letter time before which to end (ms; 0: never), reason (empty: any), error type (as JSON
--   between quotes; empty: any), limit (items), then bytes that the description must contain
-- Returns: the place to go on from (ms and id), more (1 or 0), how many were looked at, then score and id in turn
-- Statuses: none
-- Atomic: the read
--- @include topic
--- @include walk
--- @include dead_letters
local after_at, after_id, look_at, until_at = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local wanted = { reason = ARGV[6], error_type = ARGV[7], parts = {} }
local limit = tonumber(ARGV[8])
for i = 9, #ARGV do wanted.parts[i - 8] = ARGV[i] end

local found, passed = {}, false
local at, id, more, visited = walk(keys.dead, after_at, after_id, look_at, false, function(each, since)
  if until_at > 0 and tonumber(since) >= until_at then passed = true return true end
  if meant(each, wanted) then found[#found + 1], found[#found + 2] = since, each end
  return #found == 2 * limit
end)
return { at, id, more and not passed and 1 or 0, visited, unpack(found) }
