#!lua flags=allow-oom
-- Proves that a topic's list of reply groups names just those whose outcomes wait, and that its count of such outcomes is
-- right; on request puts them right.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), repair (1 or 0), limit (groups; with more of them nothing is counted)
-- Returns: for each finding its problem
-- Statuses: none
-- Atomic: the call
--- @include topic
local repair, limit = ARGV[2] == '1', tonumber(ARGV[3])
local waiting_groups = base .. 'outboxes'
local findings = {}

if redis.call('ZCARD', waiting_groups) > limit then return findings end
local total = 0
for _, group in ipairs(redis.call('ZRANGE', waiting_groups, 0, -1)) do
  local size = redis.call('ZCARD', base .. 'outbox:' .. group)
  total = total + size
  if size == 0 then
    findings[#findings + 1] = 'its list of reply groups that wait names ' .. group .. ', whose outbox is empty'
    index_remove(waiting_groups, group)
  end
end
local counted = tonumber(redis.call('HGET', keys.topic, 'unacknowledged') or 0)
if counted ~= total then
  findings[#findings + 1] = 'its count of unacknowledged outcomes is wrong'
  counters.unacknowledged = total
end
if repair and #findings > 0 then commit_indexes() end
return findings
