#!lua flags=no-writes
-- Reads ids of dead letters, oldest first, from a position on.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), earliest dead-letter time (ms), id after which to begin (empty: at the earliest), limit (items)
-- Returns: dead-letter time (ms) and id in turn
-- Statuses: none
-- Atomic: the read
--- @include topic
local from, after, limit = ARGV[2], ARGV[3], tonumber(ARGV[4])
local page = {}
local offset = 0
while #page < 2 * limit do
  local found = redis.call('ZRANGEBYSCORE', keys.dead, from, '+inf', 'WITHSCORES', 'LIMIT', offset, limit)
  for i = 1, #found, 2 do
    -- Members of equal score stand in the order of their names.
    if after == '' or found[i + 1] ~= from or found[i] > after then
      page[#page + 1] = found[i + 1]
      page[#page + 1] = found[i]
    end
    if #page == 2 * limit then break end
  end
  if #found < 2 * limit then break end
  offset = offset + limit
end
return page
