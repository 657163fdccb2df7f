-- A work item's record in memory: loaded once a call, changed in memory, written by `commit`.
-- `policy` and `state` are packed into one field each, words parted by blanks, '-' for none: what every call needs costs
-- one read, one match and one write. Everything else is a field of its own, read only where it matters. The word `received`
-- is 1, or o5000 for an offer of 5000 ms whose receipt has not come.

local NONE = '-'
local INDEX = { READY = 'ready', CLAIMED = 'leases', RETRY_WAIT = 'retry', DEAD_LETTER = 'dead' }
local POLICY_WORDS = '^(%S+) (%S+) (%S+) (%S+)' -- what every call needs; the rest is for `rules`
local RULE_WORDS = '^%S+ %S+ %S+ %S+ (%S+) (%S+) (%S+) (%S+)'
local STATE_WORDS = '^' .. string.rep('(%S+) ', 13) .. '(%S+)$'

local records = {}
local foreign = {} -- ids of records that a later release wrote

-- One constructor makes the table once, at its full size; growing it word by word costs more than the rest of a call.
local function unpacked(id, key, policy, state)
  local schema, suspend_deadline, attempt_timeout, reply_group = string.match(policy, POLICY_WORDS)
  local status, order, fence, nonce, worker, claimed, lease, received, decided, retry_count, lease_loss_count,
    claim_count, outcome, outcome_at = string.match(state, STATE_WORDS)
  return {
    id = id, key = key, policy = policy, schema = schema, suspend_deadline = suspend_deadline, attempt_timeout = attempt_timeout,
    reply_group = reply_group, status = status or NONE, order = order, fence = fence, nonce = nonce, worker = worker,
    claimed = claimed, lease = lease, received = received, decided = decided, retry_count = retry_count,
    lease_loss_count = lease_loss_count, claim_count = claim_count, outcome = outcome, outcome_at = outcome_at,
    changed = false, fields = false,
  }
end

-- Returns the rules for failures: most retries, backoff, most lease losses, what a dead letter does.
local function rules(record)
  return string.match(record.policy, RULE_WORDS)
end

-- Tells by the last word of a policy whether an item is an execution of a graph.
local function is_execution(policy)
  return string.sub(policy, -14) == ' EXECUTE_GRAPH'
end

local function state_text(record)
  return record.status .. ' ' .. record.order .. ' ' .. record.fence .. ' ' .. record.nonce .. ' ' .. record.worker
    .. ' ' .. record.claimed .. ' ' .. record.lease .. ' ' .. record.received .. ' ' .. record.decided
    .. ' ' .. record.retry_count .. ' ' .. record.lease_loss_count .. ' ' .. record.claim_count
    .. ' ' .. record.outcome .. ' ' .. record.outcome_at
end

-- Returns the record of an item; nil if there is none, or none that this release can read: `missing` tells which.
-- Fields that are named besides are read in the same call.
local function load(id, ...)
  local record = records[id]
  if record ~= nil then return record or nil end
  local key = item_key .. id
  local values = redis.call('HMGET', key, 'policy', 'state', ...)
  if not values[1] then
    records[id] = false
    return nil
  end
  if not readable(values[1]) then
    records[id], foreign[id] = false, true
    return nil
  end
  record = unpacked(id, key, values[1], values[2])
  for i = 1, select('#', ...) do record[select(i, ...)] = values[i + 2] end
  records[id] = record
  return record
end

local function missing(id)
  return foreign[id] and 'UNKNOWN_SCHEMA' or 'NOT_FOUND'
end

-- Returns a field that is not packed; false if absent.
local function get(record, field)
  if record[field] == nil then record[field] = redis.call('HGET', record.key, field) end
  return record[field]
end

-- Changes a field that is not packed; false removes it.
local function put(record, field, value)
  record[field] = value
  if not record.fields then record.fields = {} end
  record.fields[field] = value
end

-- Changes a packed word of the state.
local function set(record, word, value)
  if type(value) == 'number' then value = int(value) end
  record[word] = value
  record.changed = true
end

local function raise(record, word)
  set(record, word, tonumber(record[word]) + 1)
end

-- Moves a record to a status and, with it, from index to index: nothing else touches the four status indexes.
local function place(record, status, score)
  local from, to = INDEX[record.status], INDEX[status]
  if from and from ~= to then index_remove(keys[from], record.id) end
  if to then index_add(keys[to], score, record.id) end
  if record.status ~= status then set(record, 'status', status) end
end

-- Returns when the current attempt must end, nil if never.
local function attempt_end(record)
  local timeout = tonumber(record.attempt_timeout)
  return timeout > 0 and tonumber(record.claimed) + timeout or nil
end

-- Returns the lease deadline that `lease` ms from now gives: never past the attempt's own end.
local function lease_deadline(record, lease)
  local limit = attempt_end(record)
  return limit and math.min(now + lease, limit) or now + lease
end

-- Returns when the lease of a claimed record ends; nil if nobody knows. An offer lasts as long as it was made for.
local function lease_end_of(record)
  local offered = string.match(record.received, '^o(%d+)$')
  if not offered then return tonumber(index_score(keys.leases, record.id) or nil) end
  local limit = attempt_end(record)
  return limit and math.min(record.claimed + offered, limit) or record.claimed + offered
end

local function write(record)
  local fields = record.fields
  if not fields then return redis.call('HSET', record.key, 'state', state_text(record)) end
  local field, value = next(fields)
  if record.changed and value and not next(fields, field) then -- the usual case
    return redis.call('HSET', record.key, 'state', state_text(record), field, value)
  end
  local set_fields, gone = {}, {}
  if record.changed then set_fields[1], set_fields[2] = 'state', state_text(record) end
  for field, value in pairs(fields) do
    if value then
      set_fields[#set_fields + 1] = field
      set_fields[#set_fields + 1] = value
    else
      gone[#gone + 1] = field
    end
  end
  if #set_fields > 0 then redis.call('HSET', record.key, unpack(set_fields)) end
  if #gone > 0 then redis.call('HDEL', record.key, unpack(gone)) end
end

-- Writes everything that was decided. Nothing may follow it but the reply.
local function commit()
  for _, record in pairs(records) do
    if record and (record.changed or record.fields) then write(record) end
  end
  commit_indexes()
end
