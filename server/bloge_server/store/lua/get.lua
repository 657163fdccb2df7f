#!lua flags=no-writes
-- Reads whole records, or all but their large parts, with where they stand in the indexes.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), brief (1: without payload, output and what late outputs hold; or 0), then item ids
-- Returns: for each item: id, status, then lease deadline (ms), due time (ms), dead-letter time (ms) (empty: none), and its
--   fields and values in turn
-- Statuses: OK, NOT_FOUND, UNKNOWN_SCHEMA (nothing follows)
-- Atomic: the read
--- @include topic
local brief = ARGV[2] == '1'

-- Returns fields and values in turn, without the large ones; of a late output its first line.
local function small_fields(key)
  local names, fields = {}, {}
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if name ~= 'payload' and name ~= 'output' then names[#names + 1] = name end
  end
  if #names == 0 then return fields end
  local values = redis.call('HMGET', key, unpack(names))
  for i, name in ipairs(names) do
    local value = values[i]
    if string.sub(name, 1, 12) == 'late_output:' then value = string.match(value, '^[^\n]*\n') end
    fields[2 * i - 1], fields[2 * i] = name, value
  end
  return fields
end

local function read(id)
  local key = item_key .. id
  local policy = redis.call('HGET', key, 'policy')
  if not policy then return { id, 'NOT_FOUND' } end
  if not readable(policy) then return { id, 'UNKNOWN_SCHEMA' } end
  local reply = { id, 'OK' }
  for i, index in ipairs({ keys.leases, keys.retry, keys.dead }) do reply[2 + i] = redis.call('ZSCORE', index, id) or '' end
  for _, part in ipairs(brief and small_fields(key) or redis.call('HGETALL', key)) do reply[#reply + 1] = part end
  return reply
end

local replies = {}
for i = 3, #ARGV do replies[i - 2] = read(ARGV[i]) end
return replies
