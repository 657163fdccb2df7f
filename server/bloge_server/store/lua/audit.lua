#!lua flags=allow-oom
-- Proves that items stand in exactly the indexes that their status and outcome ask for, at the right place, and that the
-- topic's counters are not behind them; on request puts them right.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), repair (1 or 0), reply group in whose outbox the
--   items were found (-: found elsewhere), then item ids
-- Returns: for each finding: item id (empty: the topic), problem, whether it was repaired (1 or 0)
-- Statuses: none
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
local repair, found_group = ARGV[4] == '1', ARGV[5]
local EXACT = { ready = true, deadlines = true } -- where the record knows the score
local FOUND_IN = { 'ready', 'leases', 'retry', 'dead', 'deadlines', 'finished' }
local findings = {}
local behind = {} -- counters that were found behind

local function report(id, problem)
  findings[#findings + 1] = { id, problem, repair and 1 or 0 }
end

-- Returns the score that an item must have in each index, by the index's name.
local function expected(record)
  local wanted = {}
  local index = INDEX[record.status]
  if index == 'ready' then wanted.ready = record.order elseif index then wanted[index] = NOW end
  if record.outcome == NONE then
    if record.suspend_deadline ~= NONE then wanted.deadlines = record.suspend_deadline end
  elseif record.status ~= 'DEAD_LETTER' then
    wanted.finished = int(now + RETENTION)
  end
  return wanted
end

local stored = redis.call('HMGET', keys.topic, 'sequence', 'outcomes')
local counted = { sequence = tonumber(stored[1] or 0), outcomes = tonumber(stored[2] or 0) }

local function count_to(name, place)
  counted[name], counters[name] = place, place
end

-- A counter must be past every place it gave out: else two items would share one, or a new one would go first.
local function check_counter(name, place)
  if place <= counted[name] then return end
  if not behind[name] then report('', 'its counter of ' .. name .. ' is behind its items') end
  behind[name] = true
  count_to(name, place)
end

local function check_outbox(record, wanted)
  if record.outcome == NONE or record.reply_group == NONE then return end
  local place = redis.call('ZSCORE', base .. 'outbox:' .. record.reply_group, record.id)
  if place then
    wanted.finished = nil -- its retention begins with the acknowledgement
    check_counter('outcomes', tonumber(place))
  elseif record.status ~= 'DEAD_LETTER' and not redis.call('ZSCORE', keys.finished, record.id) then
    wanted.finished = nil
    report(record.id, 'has an outcome that is neither in its outbox nor acknowledged')
    outbox_add(record.reply_group, record.id, record.outcome_at)
    counted.outcomes = counters.outcomes
  end
end

local function check(id, record)
  local wanted = {}
  if record then
    wanted = expected(record)
    check_counter('sequence', record.order % PRIORITY_STEP)
    check_outbox(record, wanted)
  end
  for _, name in ipairs(FOUND_IN) do
    local stands = redis.call('ZSCORE', keys[name], id)
    if stands and not wanted[name] then
      report(id, record and (record.status .. ' but stands in ' .. name) or ('no record, but stands in ' .. name))
      index_remove(keys[name], id)
    elseif wanted[name] and not stands then
      report(id, record.status .. ' but does not stand in ' .. name)
      index_add(keys[name], wanted[name], id)
      herald_due(now)
    elseif stands and EXACT[name] and tonumber(stands) ~= tonumber(wanted[name]) then
      report(id, record.status .. ' but at the wrong place in ' .. name)
      index_add(keys[name], wanted[name], id)
      herald_due(now)
    end
  end
end

-- An entry of an outbox must have an outcome for that reply group.
local function check_found(id, record)
  if record and record.outcome ~= NONE and record.reply_group == found_group then return end
  report(id, (record and 'no outcome' or 'no record') .. ', but stands in the outbox of ' .. found_group)
  local place = redis.call('ZSCORE', base .. 'outbox:' .. found_group, id)
  if place then outbox_remove(found_group, id, tonumber(place)) end
end

local function check_listed(group)
  if redis.call('ZSCORE', waiting_groups, group) then return end
  report('', 'its list of reply groups that wait lacks ' .. group)
  index_add(waiting_groups, NOW, group)
end

if found_group ~= NONE and redis.call('EXISTS', base .. 'outbox:' .. found_group) == 1 then check_listed(found_group) end
for i = 6, #ARGV do
  local record = load(ARGV[i])
  if not foreign[ARGV[i]] then
    if found_group ~= NONE then check_found(ARGV[i], record) end
    check(ARGV[i], record)
  end
end
if repair then commit() end
return told(findings)
