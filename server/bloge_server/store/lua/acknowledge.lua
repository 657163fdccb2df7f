#!lua flags=allow-oom
-- Takes outcomes that are recorded elsewhere out of the outbox; the items' retention begins.
-- Transition: none (DONE and CANCELLED items enter `finished`)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms), reply groups in whose outboxes they are likely to be (parted by
--   blanks), then item ids
-- Returns: how many were in an outbox
-- Statuses: none
-- Atomic: the whole batch
--- @include topic
--- @include outbox
local REPLY_GROUP = '^%S+ %S+ %S+ (%S+)' -- in a packed policy, see include/record.lua
local retention_end = int(now + tonumber(ARGV[2]))
local ids, acknowledged = {}, 0
for i = 4, #ARGV do ids[#ids + 1] = ARGV[i] end

-- Takes out of a group's outbox what stands there; returns the other ids. A dead letter has no retention yet.
local function acknowledge(group, some)
  local places = redis.call('ZMSCORE', base .. 'outbox:' .. group, unpack(some))
  local dead = redis.call('ZMSCORE', keys.dead, unpack(some))
  local others = {}
  for i = 1, #some do
    local id, place = some[i], places[i]
    if not place then
      others[#others + 1] = id
    elseif not taken[group] or not taken[group].ids[id] then
      outbox_remove(group, id, tonumber(place))
      if not dead[i] then index_add(keys.finished, retention_end, id) end
      acknowledged = acknowledged + 1
    end
  end
  return others
end

for group in string.gmatch(ARGV[3], '%S+') do
  if #ids > 0 then ids = acknowledge(group, ids) end
end
for i = 1, #ids do
  local policy = redis.call('HGET', item_key .. ids[i], 'policy')
  local group = policy and readable(policy) and string.match(policy, REPLY_GROUP)
  if group then acknowledge(group, { ids[i] }) end
end
if acknowledged > 0 then herald_due(tonumber(retention_end)) end
commit_indexes()
return acknowledged
