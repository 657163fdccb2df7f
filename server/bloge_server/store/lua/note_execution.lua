#!lua flags=allow-oom
-- Notes in the listing where executions stand. An execution never goes back, so notes may arrive in any order.
-- Transition: none
-- Keys: days
-- Arguments: now (unused), then for each execution: id, start time (ms), status, graph name
-- Returns: how many entries changed
-- Statuses: none
-- Atomic: the whole batch
--- @include listing
local RANK = { PENDING = 1, RUNNING = 2, COMPLETED = 3, FAILED = 3, CANCELLED = 3 }
local changed = 0
for i = 2, #ARGV, 4 do
  local id, start_ms, status, graph = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local day = day_of(tonumber(start_ms))
  local list, about = list_keys(day)
  local before = string.match(redis.call('HGET', about, id) or '', '^%S+')
  if not before or RANK[status] > RANK[before] then
    redis.call('ZADD', keys.days, day, day)
    redis.call('ZADD', list, start_ms, id)
    redis.call('HSET', about, id, status .. ' ' .. graph)
    changed = changed + 1
  end
end
return changed
