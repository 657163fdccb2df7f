#!lua flags=no-writes
-- Reads ids of items from an index, in its order or from its end, from a place on.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), score behind which to begin (empty: at the beginning), id behind which to begin, most to look at
--   (items), limit (items), index, backwards (1 or 0), status (empty: any), worker that holds or last held it (empty: any)
-- Returns: the place to go on from (score and id), more (1 or 0), how many were looked at, then score and id in turn
-- Statuses: none
-- Atomic: the read
--- @include topic
--- @include walk
local after, after_id, look_at, limit = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local index, backwards, wanted_status, wanted_worker = base .. ARGV[6], ARGV[7] == '1', ARGV[8], ARGV[9]
local STATUS_AND_WORKER = '^(%S+) %S+ %S+ %S+ (%S+)' -- in a packed state, see include/record.lua

local function wanted(id)
  if wanted_status == '' and wanted_worker == '' then return true end
  local state = redis.call('HGET', item_key .. id, 'state')
  if not state then return false end
  local status, worker = string.match(state, STATUS_AND_WORKER)
  return (wanted_status == '' or status == wanted_status) and (wanted_worker == '' or worker == wanted_worker)
end

local found = {}
local score, id, more, visited = walk(index, after, after_id, look_at, backwards, function(each, at)
  if wanted(each) then found[#found + 1], found[#found + 2] = at, each end
  return #found == 2 * limit
end)
return { score, id, more and 1 or 0, visited, unpack(found) }
