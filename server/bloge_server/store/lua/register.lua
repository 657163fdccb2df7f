#!lua flags=allow-oom
-- Notes a worker of a topic and when it was last seen.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), worker id, slots, SDK
-- Returns: OK
-- Statuses: OK
-- Atomic: the call
--- @include topic
local KEEP = 86400000 -- ms, a day
local workers, card = base .. 'workers', base .. 'worker:' .. ARGV[2]
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now - KEEP)
redis.call('ZADD', workers, now, ARGV[2])
redis.call('HSET', card, 'slots', ARGV[3], 'sdk', ARGV[4])
redis.call('PEXPIRE', card, KEEP)
return 'OK'
