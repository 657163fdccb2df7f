-- Outcomes that wait to be acknowledged, by reply group: in the order of their emission, which is the topic's count of
-- outcomes. `outboxes` tells since when each group waits, so that nothing has to be searched.

local waiting_groups = base .. 'outboxes'
local outboxes = {} -- key of each reply group met in this call
local emitted = {} -- how many outcomes of each reply group this call writes
local origin = '-' -- whose call this is, if its reply tells of the outcomes: the caller need not hear of them again
local taken = {} -- what leaves outboxes in this call: reply group -> { count, last: greatest place, ids: id -> true }

local function count_outcomes()
  if counters.unacknowledged then return end
  local counts = redis.call('HMGET', keys.topic, 'outcomes', 'unacknowledged')
  counters.outcomes = math.max(counters.outcomes or 0, tonumber(counts[1] or 0))
  counters.unacknowledged = tonumber(counts[2] or 0)
end

local function outbox_add(group, id, at)
  count_outcomes()
  counters.outcomes, counters.unacknowledged = counters.outcomes + 1, counters.unacknowledged + 1
  local outbox = outboxes[group]
  if not outbox then
    outbox = base .. 'outbox:' .. group
    outboxes[group], emitted[group] = outbox, 0
    herald('outcome ' .. group .. ' ' .. origin)
    if not redis.call('ZSCORE', waiting_groups, group) then index_add(waiting_groups, at, group) end
  end
  emitted[group] = emitted[group] + 1
  index_add(outbox, counters.outcomes, id)
end

-- Takes an entry out of an outbox, where it stands at a place.
local function outbox_remove(group, id, place)
  count_outcomes()
  counters.unacknowledged = math.max(0, counters.unacknowledged - 1)
  local gone = taken[group]
  if not gone then gone = { count = 0, last = 0, ids = {} } taken[group] = gone end
  gone.count, gone.last, gone.ids[id] = gone.count + 1, math.max(gone.last, place), true
  index_remove(base .. 'outbox:' .. group, id)
end

-- Returns the id that comes first in an outbox once some are taken; nil if nothing is left. Outcomes are acknowledged in
-- their order, mostly: then it is the one behind as many as are taken.
local function first_left(outbox, gone)
  local next_one = redis.call('ZRANGE', outbox, gone.count, gone.count, 'WITHSCORES')
  if not next_one[1] and redis.call('ZCARD', outbox) <= gone.count then return nil end
  if next_one[1] and gone.last < tonumber(next_one[2]) then return next_one[1] end
  for _, id in ipairs(redis.call('ZRANGE', outbox, 0, gone.count)) do
    if not gone.ids[id] then return id end
  end
end

at_commit[#at_commit + 1] = function()
  for group, gone in pairs(taken) do
    local id = first_left(base .. 'outbox:' .. group, gone)
    if id then
      local state = redis.call('HGET', item_key .. id, 'state')
      index_add(waiting_groups, state and string.match(state, '(%d+)$') or now, group)
    else
      index_remove(waiting_groups, group)
    end
  end
end
