-- Takes outcomes that are recorded elsewhere out of the outbox; the items' retention begins.
-- Transition: none (DONE and CANCELLED items enter `finished`)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms), then item ids
-- Returns: how many were in the outbox
-- Statuses: none
-- Atomic: the whole batch
--- @include topic
--- @include record
local retention = tonumber(ARGV[2])
local acknowledged = 0
for i = 3, #ARGV do
  local id = ARGV[i]
  local record = load(id)
  local outbox = record and record.outcome ~= NONE and base .. 'outbox:' .. record.reply_group
  if outbox and redis.call('ZSCORE', outbox, id) then
    index_remove(outbox, id)
    if record.status ~= 'DEAD_LETTER' then
      index_add(keys.finished, now + retention, id)
      herald_due(now + retention)
    end
    acknowledged = acknowledged + 1
  end
end
commit()
return acknowledged
