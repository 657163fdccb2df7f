#!lua flags=no-writes
-- Reads a topic's counts and settings.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock)
-- Returns: items in ready, leases, retry, dead and finished, age of the next ready item (ms; -1: none), paused (1 or 0),
--   backlog limit (items; 0: none; -1: as the server says), dead letter limit (likewise), dead letter policy (KEEP,
--   DISCARD_OLDEST; empty: as the server says)
-- Statuses: none
-- Atomic: the read
--- @include topic
local ENQUEUED = '(%d+) %S+$' -- in a packed policy, see include/record.lua
local first = redis.call('ZRANGE', keys.ready, 0, 0)[1]
local policy = first and redis.call('HGET', item_key .. first, 'policy')
local enqueued = policy and readable(policy) and tonumber(string.match(policy, ENQUEUED))
local settings = redis.call('HMGET', keys.topic, 'paused', 'backlog_limit', 'dead_letter_limit', 'dead_letter_policy')
return {
  redis.call('ZCARD', keys.ready), redis.call('ZCARD', keys.leases), redis.call('ZCARD', keys.retry),
  redis.call('ZCARD', keys.dead), redis.call('ZCARD', keys.finished), enqueued and math.max(0, now - enqueued) or -1,
  settings[1] == '1' and 1 or 0, tonumber(settings[2]) or -1,
  tonumber(settings[3]) or -1, settings[4] or '',
}
