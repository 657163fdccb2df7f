#!lua flags=allow-oom
-- Takes outcomes that are recorded elsewhere out of the outbox; the items' retention begins.
-- Transition: none (DONE and CANCELLED items enter `finished`)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms), then item ids
-- Returns: how many were in an outbox
-- Statuses: none
-- Atomic: the whole batch
--- @include topic
--- @include outbox
local REPLY_GROUP, STATUS = '^%S+ %S+ %S+ (%S+)', '^%S+' -- in a packed policy and state, see include/record.lua
local retention_end = now + tonumber(ARGV[2])
local acknowledged = 0
for i = 3, #ARGV do
  local id = ARGV[i]
  local item = redis.call('HMGET', item_key .. id, 'policy', 'state')
  local group = item[1] and readable(item[1]) and string.match(item[1], REPLY_GROUP)
  local place = group and index_score(base .. 'outbox:' .. group, id)
  if place then
    outbox_remove(group, id, tonumber(place))
    if string.match(item[2], STATUS) ~= 'DEAD_LETTER' then index_add(keys.finished, int(retention_end), id) end
    acknowledged = acknowledged + 1
  end
end
if acknowledged > 0 then herald_due(retention_end) end
commit_indexes()
return acknowledged
