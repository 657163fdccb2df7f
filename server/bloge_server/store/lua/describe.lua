#!lua flags=no-writes
-- Reads a topic's counts and settings.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock)
-- Returns: items in ready, leases, retry, dead and finished, age of the oldest ready item (ms; -1: none), paused (1 or 0),
--   backlog limit (items; 0: none; -1: as the server says), dead letter limit (likewise), dead letter policy (KEEP,
--   DISCARD_OLDEST; empty: as the server says), age of the oldest dead letter (ms; -1: none), outcomes that nobody
--   acknowledged, age of the oldest of them (ms; -1: none)
-- Statuses: none
-- Atomic: the read
--- @include topic
local ENQUEUED = '(%d+) %S+$' -- in a packed policy, see include/record.lua

-- Returns the age of an item since it was enqueued; -1 for none, or for one that only a later release can read.
local function age(id)
  local policy = redis.call('HGET', item_key .. id, 'policy')
  local enqueued = policy and readable(policy) and tonumber(string.match(policy, ENQUEUED))
  return enqueued and math.max(0, now - enqueued) or -1
end

-- Returns the age of the oldest ready item: the first of some priority. Later priorities may wait behind earlier ones.
local function oldest_ready()
  local oldest, from = -1, '-inf'
  while true do
    local first = redis.call('ZRANGEBYSCORE', keys.ready, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[1] then return oldest end
    oldest = math.max(oldest, age(first[1]))
    from = int((math.floor(first[2] / PRIORITY_STEP) + 1) * PRIORITY_STEP)
  end
end

local settings = redis.call('HMGET', keys.topic, 'paused', 'backlog_limit', 'dead_letter_limit', 'dead_letter_policy',
  'unacknowledged')

-- Returns the age of an index's first entry, whose score is the instant since when it stands there.
local function oldest(index)
  local since = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')[2]
  return since and math.max(0, now - since) or -1
end

return {
  redis.call('ZCARD', keys.ready), redis.call('ZCARD', keys.leases), redis.call('ZCARD', keys.retry),
  redis.call('ZCARD', keys.dead), redis.call('ZCARD', keys.finished), oldest_ready(),
  settings[1] == '1' and 1 or 0, tonumber(settings[2]) or -1,
  tonumber(settings[3]) or -1, settings[4] or '', oldest(keys.dead), tonumber(settings[5] or 0),
  oldest(base .. 'outboxes'),
}
