#!lua flags=no-writes
-- Reads whole records, with where they stand in the indexes.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), then item ids
-- Returns: for each item: id, lease deadline (ms), due time (ms), dead-letter time (ms) (empty: none), then its fields and
--   values in turn; nothing after the id if there is no such item
-- Statuses: none
-- Atomic: the read
--- @include topic
local replies = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local fields = redis.call('HGETALL', item_key .. id)
  local reply = { id }
  if #fields > 0 then
    reply[2] = redis.call('ZSCORE', keys.leases, id) or ''
    reply[3] = redis.call('ZSCORE', keys.retry, id) or ''
    reply[4] = redis.call('ZSCORE', keys.dead, id) or ''
    for j = 1, #fields do reply[#reply + 1] = fields[j] end
  end
  replies[#replies + 1] = reply
end
return replies
