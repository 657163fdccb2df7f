#!lua flags=allow-oom
-- Removes items of executions whose retention is over; their journals are gone already.
-- Transition: finished -> gone (past its retention)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), then item ids
-- Returns: how many were removed
-- Statuses: none
-- Atomic: the whole batch
--- @include topic
local gone = {}
for i = 2, #ARGV do
  local retention_end = redis.call('ZSCORE', keys.finished, ARGV[i])
  if retention_end and tonumber(retention_end) <= now then
    gone[#gone + 1] = item_key .. ARGV[i]
    index_remove(keys.finished, ARGV[i])
  end
end
commit_indexes()
if #gone > 0 then redis.call('UNLINK', unpack(gone)) end
return #gone
