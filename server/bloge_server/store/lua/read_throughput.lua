#!lua flags=no-writes
-- Reads what happened in a topic lately: the slots of its ring.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock)
-- Returns: the time (ms), then each slot: its number since 1970, and the numbers counted in it, parted by blanks
-- Statuses: none
-- Atomic: the read
--- @include topic
return { now, unpack(redis.call('HVALS', base .. 'throughput')) }
