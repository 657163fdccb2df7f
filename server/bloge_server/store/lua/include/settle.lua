-- How items end, and what is due at `now` whatever a caller asks: no answer depends on when a sweep last ran.

local RETENTION = tonumber(string.match(ARGV[2], '^%d+')) -- ms that a finished item is kept
local RANDOM = tonumber(ARGV[3]) -- [0, 1), the caller's dice: scripts stay repeatable
local LOSS_JITTER = 500 -- ms
local MAX_BACKOFF = 604800000 -- ms, 7 days
local NOW = int(now)
local dice_thrown = 0

-- Returns numbers spread over [0, 1) from the one that the caller gave (additive recurrence by the golden ratio).
local function dice()
  dice_thrown = dice_thrown + 1
  return (RANDOM + dice_thrown * 0.6180339887498949) % 1
end

-- Tells the worker that holds a record to stop.
local function stop_worker(record, reason)
  herald('stop ' .. record.worker .. ' ' .. record.id .. ' ' .. record.fence .. ' ' .. reason)
end

-- Writes the outcome: at most once, with the outbox entry, and out of `deadlines`.
local function emit(record, kind)
  record.outcome, record.outcome_at, record.changed = kind, NOW, true
  if record.suspend_deadline ~= NONE then index_remove(keys.deadlines, record.id) end
  happened(record, 'outcome', kind)
  if record.reply_group ~= NONE then
    outbox_add(record.reply_group, record.id, NOW)
  elseif record.status ~= 'DEAD_LETTER' then
    index_add(keys.finished, now + RETENTION, record.id)
  end
  if get(record, 'awaited') then herald('done ' .. record.id) end
end

local function dead_letter(record, reason)
  happened(record, 'dead_letter', reason)
  put(record, 'dead_reason', reason)
  place(record, 'DEAD_LETTER', now)
  local _, _, _, on_dead_letter = rules(record)
  if on_dead_letter == 'RESUME_WITH_FAILURE' and record.outcome == NONE then emit(record, 'FAILED') end
end

-- Drops a dead letter; a node that still waits resumes with outcome FAILED.
local function discard(record)
  happened(record, 'discarded', '')
  place(record, 'CANCELLED')
  if record.outcome == NONE then
    emit(record, 'FAILED')
  elseif record.reply_group == NONE or not index_score(base .. 'outbox:' .. record.reply_group, record.id) then
    index_add(keys.finished, now + RETENTION, record.id)
  end
end

local function withdraw(record, kind, reason)
  if record.status == 'CLAIMED' then stop_worker(record, reason) end
  if record.status ~= 'DEAD_LETTER' then place(record, 'CANCELLED') end
  emit(record, kind)
end

-- Returns the delay before the next attempt. FIXED: b; EXPONENTIAL: b * 2^retries; JITTER: uniform in [0, EXPONENTIAL].
local function backoff(record)
  local _, packed = rules(record)
  local strategy, first, most = string.match(packed, '(%u+):(%d+):(%d+)')
  local delay, limit = tonumber(first), tonumber(most)
  if limit == 0 then limit = MAX_BACKOFF end
  if strategy ~= 'FIXED' then delay = delay * 2 ^ tonumber(record.retry_count) end
  delay = math.min(delay, limit)
  if strategy == 'JITTER' then delay = delay * dice() end
  return math.floor(delay)
end

-- Spends a retry, or makes a dead letter. Returns the delay until the next attempt, or nil.
local function retry_or_bury(record, ending, failure, fatal, retry_after)
  local delay = retry_after or backoff(record)
  local deadline = tonumber(record.suspend_deadline)
  local reason
  if fatal then reason = 'NON_RETRYABLE'
  elseif tonumber(record.retry_count) >= tonumber((rules(record))) then reason = 'BUDGET_SPENT'
  elseif deadline and now + delay >= deadline then reason = 'RETRY_PAST_DEADLINE' end
  if reason then
    remember_attempt(record, ending, failure)
    dead_letter(record, reason)
    return nil
  end
  remember_attempt(record, ending, failure, now + delay)
  raise(record, 'retry_count')
  place(record, 'RETRY_WAIT', now + delay)
  herald_due(now + delay)
  return delay
end

local packed_answers = {}

-- Returns a decision as one word: kind, digest of the report, answer.
local function packed_decision(kind, digest, reply)
  local packed = packed_answers[reply]
  if not packed then
    packed = string.gsub(reply, ' ', ',')
    packed_answers[reply] = packed
  end
  return kind .. ':' .. digest .. ':' .. packed
end

-- Notes what the item's last token decided, for the same report again. Work that was finished after a release is a second
-- decision beside the first.
local function decide_current(record, kind, digest, reply)
  local before = record.decided ~= NONE and (record.decided .. '|') or ''
  set(record, 'decided', before .. packed_decision(kind, digest, reply))
end

-- Takes a lapsed lease away. Which deadline it ran into tells how the attempt ended, not when somebody noticed.
local function expire(record, lease_end)
  local limit = attempt_end(record)
  if record.received ~= '1' then
    remember_attempt(record, 'OFFER_EXPIRED')
    happened(record, 'retry', 'OFFER_EXPIRED')
    place(record, 'READY', record.order)
    herald('ready')
  elseif limit and limit <= lease_end then
    decide_current(record, 'timeout', NONE, 'LEASE_EXPIRED')
    stop_worker(record, 'LEASE_EXPIRED')
    retry_or_bury(record, 'ATTEMPT_TIMEOUT', '{"type":"ATTEMPT_TIMEOUT","message":"the attempt timeout passed"}')
  elseif tonumber(record.lease_loss_count) >= tonumber((select(3, rules(record)))) then
    remember_attempt(record, 'LEASE_LOST')
    dead_letter(record, 'LEASE_LOST')
  else
    local due = now + math.floor(LOSS_JITTER * dice())
    remember_attempt(record, 'LEASE_LOST', nil, due)
    raise(record, 'lease_loss_count')
    place(record, 'RETRY_WAIT', due)
    herald_due(due)
  end
end

-- Brings a record up to date: first its suspend deadline, then its lease.
local function settle(record)
  if record.outcome ~= NONE then return end
  local deadline = tonumber(record.suspend_deadline)
  if deadline and deadline <= now then
    withdraw(record, 'TIMED_OUT', 'DEADLINE_PASSED')
  elseif record.status == 'CLAIMED' then
    local lease_end = lease_end_of(record)
    if lease_end and lease_end <= now then expire(record, lease_end) end
  end
end
