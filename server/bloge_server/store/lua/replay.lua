#!lua flags=allow-oom
-- Puts dead letters back: new budgets, a new place in the order, every earlier token superseded.
-- Transition: DEAD_LETTER without outcome -> READY; -> RETRY_WAIT (delayed)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), has payload (1 or 0), payload (a patched one), then
--   for
--   each item: id, delay (ms)
-- Returns: for each item: status, then the item's own status and outcome (-: none)
-- Statuses: REPLAYED, WRONG_STATUS, NOT_FOUND, UNKNOWN_SCHEMA
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
local sequence = tonumber(redis.call('HGET', keys.topic, 'sequence') or 0)
local first_sequence = sequence
local replies = {}

local function put_back(record, delay)
  sequence = sequence + 1
  archive_claim(record)
  set(record, 'fence', math.max((tonumber(record.fence) or 0) + 1, now_us))
  for _, word in ipairs({ 'nonce', 'worker', 'claimed', 'lease', 'received' }) do set(record, word, NONE) end
  for _, word in ipairs({ 'retry_count', 'lease_loss_count', 'claim_count' }) do set(record, word, '0') end
  for _, field in ipairs({ 'dead_reason', 'release_count' }) do put(record, field, false) end
  put(record, 'replay_count', (get(record, 'replay_count') or 0) + 1)
  set(record, 'order', math.floor(record.order / PRIORITY_STEP) * PRIORITY_STEP + sequence)
  if ARGV[4] == '1' then put(record, 'payload', ARGV[5]) end
  if delay > 0 then
    place(record, 'RETRY_WAIT', now + delay)
    herald_due(now + delay)
  else
    place(record, 'READY', record.order)
    herald('ready')
  end
  happened(record, 'replayed', '')
end

for at = 6, #ARGV, 2 do
  local record = load(ARGV[at])
  local status = missing(ARGV[at])
  if record then
    settle(record)
    status = 'WRONG_STATUS'
    if record.status == 'DEAD_LETTER' and record.outcome == NONE then
      put_back(record, tonumber(ARGV[at + 1]))
      status = 'REPLAYED'
    end
  end
  replies[#replies + 1] = { status, record and record.status or NONE, record and record.outcome or NONE }
end
if sequence > first_sequence then counters.sequence = sequence end
commit()
return told(replies)
