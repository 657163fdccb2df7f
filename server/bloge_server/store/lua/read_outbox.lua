#!lua flags=no-writes
-- Reads outcomes of one reply group that are not acknowledged, oldest first, after a place in the order.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), reply group, place after which to begin (0: at the beginning), limit (items), limit (bytes of
--   everything; the first outcome is always given)
-- Returns: place of the last one, whether there are more (1 or 0), then for each: id, then its fields as in
--   include/outcome_fields.lua
-- Statuses: none
-- Atomic: the read
--- @include topic
--- @include outcome_fields
local outbox = base .. 'outbox:' .. ARGV[2]
local limit, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local found = redis.call('ZRANGEBYSCORE', outbox, '(' .. ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
local replies, bytes = { ARGV[3], #found == 2 * limit and 1 or 0 }, 0
for i = 1, #found, 2 do
  local outcome = read_outcome(found[i])
  for j = 1, #outcome do bytes = bytes + #outcome[j] end
  if #replies > 2 and bytes > max_bytes then
    replies[2] = 1
    break
  end
  replies[1] = found[i + 1]
  -- A server that can read it gives an outcome of a later release, as soon as somebody watches there.
  if readable(outcome[2]) then replies[#replies + 1] = outcome end
end
return replies
