-- Does what is due in one topic, a bounded number of each kind; safe to race and to repeat.
-- Transition: RETRY_WAIT -> READY (due); CLAIMED -> READY, RETRY_WAIT or DEAD_LETTER (lapsed); open -> CANCELLED (past its
--   suspend deadline); finished -> gone (past its retention)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms), dice ([0, 1)), limit (items of each kind)
-- Returns: promoted, expired, timed out, purged (items), delay until something is due (ms; 0: more is due now;
--   -1: nothing ahead)
-- Statuses: none
-- Atomic: the whole pass
--- @include topic
--- @include record
--- @include settle
local limit = tonumber(ARGV[4])

local function due(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, limit)
end

local deadlines, leases, retries, finished = due(keys.deadlines), due(keys.leases), due(keys.retry), due(keys.finished)
local timed_out, expired, promoted = 0, 0, 0
local full = math.max(#deadlines, #leases, #retries, #finished) == limit

for i = 1, #deadlines do
  local record = load(deadlines[i])
  if record then settle(record) timed_out = timed_out + 1 else index_remove(keys.deadlines, deadlines[i]) end
end
for i = 1, #leases do
  local record = load(leases[i])
  if not record then index_remove(keys.leases, leases[i])
  elseif record.status == 'CLAIMED' then settle(record) expired = expired + 1 end
end
for i = 1, #retries do
  local record = load(retries[i])
  if not record then index_remove(keys.retry, retries[i])
  elseif record.status == 'RETRY_WAIT' then
    place(record, 'READY', record.order)
    promoted = promoted + 1
  end
end
if promoted > 0 then herald('ready') end

local ahead
for _, key in ipairs({ keys.deadlines, keys.leases, keys.retry, keys.finished }) do
  local first = redis.call('ZRANGEBYSCORE', key, '(' .. int(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] and (not ahead or tonumber(first[2]) < ahead) then ahead = tonumber(first[2]) end
end
if earliest and (not ahead or earliest < ahead) then ahead = earliest end
for i = 1, #finished do
  index_remove(keys.finished, finished[i])
end
commit()
for i = 1, #finished do
  redis.call('UNLINK', item_key .. finished[i])
end
return { promoted, expired, timed_out, #finished, full and 0 or ahead and math.max(1, ahead - now) or -1 }
