#!lua flags=no-writes
-- Reads outcomes of one reply group that are not acknowledged, oldest first.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), reply group, offset, limit (items)
-- Returns: for each item: id, then its fields as in include/outcome_fields.lua (empty: absent)
-- Statuses: none
-- Atomic: the read
--- @include topic
--- @include outcome_fields
local outbox = base .. 'outbox:' .. ARGV[2]
local ids = redis.call('ZRANGE', outbox, tonumber(ARGV[3]), tonumber(ARGV[3]) + tonumber(ARGV[4]) - 1)
local replies = {}
for i = 1, #ids do replies[i] = read_outcome(ids[i]) end
return replies
