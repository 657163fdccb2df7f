#!lua flags=allow-oom
-- Claims due items of one topic for one worker, highest priority first, then oldest first.
-- Transition: READY -> CLAIMED, RETRY_WAIT (due) -> CLAIMED or READY; a passed suspend deadline -> CANCELLED
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), worker id, nonce, lease (ms), first lease (ms; the
--   offer lease of a streamed claim), received (1, or 0 for an offer), max items, max bytes (of specs,
--   payloads and progress), any size (1: the first item is given whatever its size), request id (empty: none), item id (the
--   only one that is wanted, also within its start delay; empty: any)
-- Returns: status, whether more may be due (1 or 0), nonce of the leases, then for each lease: id, spec, payload, attempt, claim count, fence,
--   lease (ms), time remaining (ms; -1: no deadline), attempt timeout (ms; -1: none), last progress
-- Statuses: OK, PAUSED
-- Atomic: the whole batch; a repeated request id returns the leases of the first call that are still held
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
local worker, nonce = ARGV[4], ARGV[5]
local lease, first_lease = tonumber(ARGV[6]), tonumber(ARGV[7])
local received = ARGV[8] == '1' and '1' or 'o' .. ARGV[7]
local max_items, max_bytes, any_size = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11] == '1'
local request, wanted = ARGV[12], ARGV[13]
local PROMOTE, LOOK_PAST, REQUEST_TTL = 500, 500, 60000 -- items, items, ms
local WANTED = { 'spec', 'payload', 'progress', 'start_delay' } -- fields of a candidate, read with the rest of it
local request_key = base .. 'request:' .. request

local replies = { 'OK', 0, nonce }

local function reply(record, lease_end)
  local deadline, limit = tonumber(record.suspend_deadline), attempt_end(record)
  local n = #replies
  replies[n + 1], replies[n + 2], replies[n + 3] = record.id, record.spec, record.payload
  replies[n + 4], replies[n + 5] = record.retry_count + 1, tonumber(record.claim_count)
  replies[n + 6], replies[n + 7] = record.fence, lease_end - now
  replies[n + 8] = deadline and deadline - now or -1
  replies[n + 9] = limit and limit - now or -1
  replies[n + 10] = record.progress or ''
end

local function repeated()
  for id, fence in string.gmatch(redis.call('GET', request_key) or '', '(%S+) (%S+)') do
    local record = load(id, unpack(WANTED))
    if record then
      settle(record)
      if record.status == 'CLAIMED' and record.fence == fence and record.worker == worker then
        replies[3] = record.nonce -- one claim call, one nonce
        reply(record, tonumber(index_score(keys.leases, id)))
      end
    end
  end
  commit()
  return told(replies)
end

-- Returns the first ready items and their scores in turn, and whether there may be more. Items that only a later release
-- can read do not keep others from being found, but this release does not ask again at once because of them.
local function first_ready()
  local ready = redis.call('ZRANGE', keys.ready, 0, max_items - 1, 'WITHSCORES')
  for i = 1, #ready, 2 do load(ready[i], unpack(WANTED)) end
  if not next(foreign) then return ready, #ready == 2 * max_items end
  return redis.call('ZRANGE', keys.ready, 0, max_items + LOOK_PAST - 1, 'WITHSCORES'), false
end

-- Returns candidates in claim order, as {order, id, waited}: the first ready ones, merged with those whose wait is over;
-- and whether there may be more.
local function candidates()
  if wanted ~= '' then
    local record = load(wanted, 'spec', 'payload', 'progress')
    local due = tonumber(redis.call('ZSCORE', keys.retry, wanted) or 0)
    local may = record and (due <= now or record.fence == NONE) -- a start delay keeps an item from others only
    return may and { { tonumber(record.order), wanted, true } } or {}, false
  end
  local ready, more = first_ready()
  local found = {}
  for i = 1, #ready, 2 do found[#found + 1] = { tonumber(ready[i + 1]), ready[i], false } end
  local due = redis.call('ZRANGEBYSCORE', keys.retry, '-inf', now, 'LIMIT', 0, PROMOTE)
  for i = 1, #due do
    local record = load(due[i], unpack(WANTED))
    if record then found[#found + 1] = { tonumber(record.order), due[i], true } end
  end
  if #due > 0 then table.sort(found, function(a, b) return a[1] < b[1] end) end
  return found, more or #due == PROMOTE
end

local function claim(record)
  if record.fence == NONE then took('wait', math.max(0, now - enqueued_at(record) - (record.start_delay or 0))) end
  local fence = now_us
  if record.fence ~= NONE then
    archive_claim(record)
    fence = math.max(record.fence + 1, now_us)
  end
  record.fence, record.nonce, record.worker, record.claimed = int(fence), nonce, worker, NOW
  record.lease, record.received, record.changed = ARGV[6], received, true
  raise(record, 'claim_count')
  local lease_end = lease_deadline(record, first_lease)
  place(record, 'CLAIMED', int(lease_end))
  herald_due(lease_end)
  reply(record, lease_end)
end

if request ~= '' and redis.call('EXISTS', request_key) == 1 then return repeated() end
if redis.call('HGET', keys.topic, 'paused') == '1' then return told({ 'PAUSED', 0, nonce }) end
local found, more = candidates()
local claimed, bytes, held = 0, 0, {}
local full = false -- one did not fit: nothing behind it goes before it

local function fits(size)
  if full or claimed == max_items then return false end
  return bytes + size <= max_bytes or (any_size and claimed == 0)
end

-- Claims a candidate if it still is one and fits; a due one that does not fit goes to `ready`, in its old place.
local function consider(record)
  settle(record)
  if record.status ~= 'READY' and record.status ~= 'RETRY_WAIT' then return end
  local size = #record.spec + #record.payload + #(record.progress or '')
  if fits(size) then
    claim(record)
    journal(record, 'claimed', '')
    claimed, bytes = claimed + 1, bytes + size
    if request ~= '' then held[claimed] = record.id .. ' ' .. record.fence end
    return
  end
  full, more = true, wanted == ''
  if record.status == 'RETRY_WAIT' and wanted == '' then place(record, 'READY', record.order) end
end

for i = 1, #found do
  local id, waited = found[i][2], found[i][3]
  if waited or not full then
    local record = load(id, unpack(WANTED))
    if record then consider(record)
    elseif not foreign[id] then index_remove(keys.ready, id) end -- an entry without a record means nothing
  else
    more = true
  end
end
replies[2] = more and 1 or 0
if claimed > 0 then count('claimed', '', claimed) end
if claimed > 0 and request ~= '' then redis.call('SET', request_key, table.concat(held, ' '), 'PX', REQUEST_TTL) end
commit()
return told(replies)
