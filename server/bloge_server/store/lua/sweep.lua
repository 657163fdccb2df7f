#!lua flags=allow-oom
-- Does what is due in one topic, a bounded number of each kind; safe to race and to repeat.
-- Transition: RETRY_WAIT -> READY (due); CLAIMED -> READY, RETRY_WAIT or DEAD_LETTER (lapsed); open -> CANCELLED (past its
--   suspend deadline); DEAD_LETTER -> CANCELLED (the oldest beyond the topic's limit, where its policy is DISCARD_OLDEST);
--   finished -> gone (past its retention; executions stay until their journals are gone)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), limit (items of each kind), most dead letters (0: no
--   limit), what happens beyond it (KEEP, DISCARD_OLDEST); a topic's own settings go before these two
-- Returns: promoted, expired, timed out, purged, discarded (items), delay until something is due (ms; 0: more is due now;
--   -1: nothing ahead), dead letters beyond the limit (items), ids of executions that are past their retention
-- Statuses: none
-- Atomic: the whole pass
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
local limit = tonumber(ARGV[4])
local progress = false -- whether this pass moved anything: what only a later release can read stays due

local function due(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, limit)
end

-- Does `act` for each item that `wanted` allows; returns for how many. An entry without a record means nothing.
local function each(key, ids, wanted, act)
  local count = 0
  for i = 1, #ids do
    local record = load(ids[i])
    if record and wanted(record) then
      act(record)
      count = count + 1
    elseif not record and not foreign[ids[i]] then
      index_remove(key, ids[i])
      progress = true
    end
  end
  progress = progress or count > 0
  return count
end

-- Returns the oldest dead letters that must go, and how many there are beyond the limit.
local function surplus()
  local own = redis.call('HMGET', keys.topic, 'dead_letter_limit', 'dead_letter_policy')
  local most, policy = tonumber(own[1] or ARGV[5]), own[2] or ARGV[6]
  local beyond = most > 0 and redis.call('ZCARD', keys.dead) - most or 0
  if beyond <= 0 then return {}, 0 end
  return policy == 'DISCARD_OLDEST' and redis.call('ZRANGE', keys.dead, 0, math.min(beyond, limit) - 1) or {}, beyond
end

-- Returns the ids of finished items that go, and of executions that must not go before their journals, which have slots of
-- their own. Most items need nothing of their record but its schema.
local function past_retention(ids)
  local gone, executions = {}, {}
  for i = 1, #ids do
    local policy = redis.call('HGET', item_key .. ids[i], 'policy')
    if policy and readable(policy) and is_execution(policy) then executions[#executions + 1] = ids[i]
    elseif not policy or readable(policy) then gone[#gone + 1] = ids[i] end
  end
  progress = progress or #gone > 0
  return gone, executions
end

local function any() return true end
local function is_claimed(record) return record.status == 'CLAIMED' end
local function is_waiting(record) return record.status == 'RETRY_WAIT' end
local function is_dead(record) return record.status == 'DEAD_LETTER' end

local deadlines, leases, retries, finished = due(keys.deadlines), due(keys.leases), due(keys.retry), due(keys.finished)
local oldest_dead, beyond = surplus()
local full = math.max(#deadlines, #leases, #retries, #finished, #oldest_dead) == limit

local timed_out = each(keys.deadlines, deadlines, any, settle)
local expired = each(keys.leases, leases, is_claimed, settle)
local promoted = each(keys.retry, retries, is_waiting, function(record) place(record, 'READY', record.order) end)
local discarded = each(keys.dead, oldest_dead, is_dead, discard)
local gone, executions = past_retention(finished)
if promoted > 0 then herald('ready') end
if timed_out + discarded > 0 then herald_due(now + RETENTION) end -- of what ended without a reply group

local ahead
for _, key in ipairs({ keys.deadlines, keys.leases, keys.retry, keys.finished }) do
  local first = redis.call('ZRANGEBYSCORE', key, '(' .. int(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] and (not ahead or tonumber(first[2]) < ahead) then ahead = tonumber(first[2]) end
end
if earliest and (not ahead or earliest < ahead) then ahead = earliest end
for i = 1, #gone do index_remove(keys.finished, gone[i]) end
commit()
for i = 1, #gone do redis.call('UNLINK', item_key .. gone[i]) end
trim_journal(RETENTION)
return told({ promoted, expired, timed_out, #gone, discarded, full and progress and 0 or ahead and math.max(1, ahead - now) or -1, beyond - discarded,
  executions })
