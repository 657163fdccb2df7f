#!lua flags=allow-oom
-- Takes executions out of the listing.
-- Transition: none
-- Keys: days
-- Arguments: now (unused), then for each execution: id, start time (ms)
-- Returns: how many entries there were
-- Statuses: none
-- Atomic: the whole batch
--- @include listing
local gone = 0
for i = 2, #ARGV, 2 do
  local day = day_of(tonumber(ARGV[i + 1]))
  local list, about = list_keys(day)
  gone = gone + redis.call('ZREM', list, ARGV[i])
  redis.call('HDEL', about, ARGV[i])
  if redis.call('EXISTS', list) == 0 then redis.call('ZREM', keys.days, day) end
end
return gone
