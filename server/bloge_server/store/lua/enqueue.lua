-- Creates work items of one topic, idempotent by id and content.
-- Transition: none -> READY, none -> RETRY_WAIT (a start delay is ahead)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), backlog limit (items; 0: none), then for each item:
--   id, digest, spec (without payload), payload, type, priority (0..99), start delay (ms), suspend timeout (ms; 0: none), attempt timeout (ms; 0:
--   none), max retries, backoff (STRATEGY:base:max), max lease losses, on dead letter, reply group (-: none), error types
--   that are not retried (one a line; empty: none)
-- Returns: for each item a status
-- Statuses: CREATED, EXISTS, DIFFERS, FULL, UNKNOWN_SCHEMA
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
local STRIDE = 15
local DIGEST = '^' .. string.rep('%S+ ', 8) .. '(%S+)' -- in a packed policy
local limit = tonumber(ARGV[4])
local items = (#ARGV - 4) / STRIDE

local meta = redis.call('HMGET', keys.topic, 'sequence', 'backlog_limit')
local sequence = tonumber(meta[1] or 0)
limit = tonumber(meta[2] or limit)
local backlog = limit > 0 and redis.call('ZCARD', keys.ready) + redis.call('ZCARD', keys.retry) or 0

-- Returns what an enqueue of an id that is taken is answered; nil if it is free.
local function taken(id, digest)
  local policy = records[id] and records[id].policy or redis.call('HGET', item_key .. id, 'policy')
  if not policy then return nil end
  if not readable(policy) then return 'UNKNOWN_SCHEMA' end
  return string.match(policy, DIGEST) == digest and 'EXISTS' or 'DIFFERS'
end

local function create(id, at)
  local delay, timeout = tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7])
  sequence = sequence + 1
  local order = int((99 - ARGV[at + 5]) * PRIORITY_STEP + sequence)
  local deadline = timeout > 0 and int(now + timeout) or NONE
  local policy = table.concat({ SCHEMA, deadline, ARGV[at + 8], ARGV[at + 13], ARGV[at + 9], ARGV[at + 10],
    ARGV[at + 11], ARGV[at + 12], ARGV[at + 1], int(now), ARGV[at + 4] }, ' ')
  local record = unpacked(id, item_key .. id, policy, 'NEW ' .. order .. ' - - - - - - - 0 0 0 - -')
  records[id] = record
  happened(record, 'enqueued', '')
  put(record, 'policy', policy)
  put(record, 'spec', ARGV[at + 2])
  put(record, 'payload', ARGV[at + 3])
  if ARGV[at + 14] ~= '' then put(record, 'fatal_types', ARGV[at + 14]) end
  if timeout > 0 then
    index_add(keys.deadlines, deadline, id)
    herald_due(now + timeout)
  end
  if delay > 0 then
    put(record, 'start_delay', delay)
    place(record, 'RETRY_WAIT', now + delay)
    herald_due(now + delay)
  else
    place(record, 'READY', order)
    herald('ready')
  end
end

local replies = {}
for item = 1, items do
  local at = 5 + (item - 1) * STRIDE
  replies[item] = taken(ARGV[at], ARGV[at + 1])
  if replies[item] then -- nothing changes
  elseif limit > 0 and backlog >= limit then
    replies[item] = 'FULL'
  else
    create(ARGV[at], at)
    backlog = backlog + 1
    replies[item] = 'CREATED'
  end
end
if sequence > tonumber(meta[1] or 0) then counters.sequence = sequence end
commit()
return told(replies)
