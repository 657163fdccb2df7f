#!lua flags=no-writes
-- Reads what happened in a topic, oldest first: behind a place in its journal, or the latest entries.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), id of the entry after which to begin (empty: give the latest entries), limit (entries)
-- Returns: the time (ms), then id and lines (see include/telling.lua) of each entry in turn
-- Statuses: none
-- Atomic: the read: nothing that happens later has an earlier time
--- @include topic
local after, limit = ARGV[2], ARGV[3]
local stream = base .. 'events'
local entries
if after == '' then
  entries = {}
  for _, entry in ipairs(redis.call('XREVRANGE', stream, '+', '-', 'COUNT', limit)) do table.insert(entries, 1, entry) end
else
  entries = redis.call('XRANGE', stream, '(' .. after, '+', 'COUNT', limit)
end
local reply = { now }
for i = 1, #entries do
  reply[2 * i], reply[2 * i + 1] = entries[i][1], entries[i][2][2]
end
return reply
