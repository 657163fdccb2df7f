#!lua flags=allow-oom
-- Cancels open items; running workers are told.
-- Transition: READY, CLAIMED, RETRY_WAIT -> CANCELLED; DEAD_LETTER without outcome -> CANCELLED. An open EXECUTE_GRAPH
--   item stays where it is: its owner learns that cancellation was asked for, and carries it out
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), reason, then item ids
-- Returns: for each item: status, then the item's own status and outcome (-: none)
-- Statuses: CANCELLED, CANCEL_REQUESTED, HAS_OUTCOME, NOT_FOUND, UNKNOWN_SCHEMA
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
local replies = {}

local function cancel(record)
  settle(record)
  if record.outcome == 'CANCELLED' then return 'CANCELLED' end
  if record.outcome ~= NONE then return 'HAS_OUTCOME' end
  if is_execution(record.policy) then
    happened(record, 'cancel_requested', '')
    put(record, 'cancel_requested', '1')
    put(record, 'cancel_reason', ARGV[4])
    if record.status == 'CLAIMED' then herald('cancel ' .. record.worker .. ' ' .. record.id .. ' ' .. record.fence) end
    return 'CANCEL_REQUESTED'
  end
  if record.status == 'CLAIMED' then stop_worker(record, 'CANCELLED') end
  place(record, 'CANCELLED')
  put(record, 'cancel_reason', ARGV[4])
  emit(record, 'CANCELLED')
  return 'CANCELLED'
end

for i = 5, #ARGV do
  local record = load(ARGV[i])
  replies[i - 4] = record and { cancel(record), record.status, record.outcome } or { missing(ARGV[i]), NONE, NONE }
end
commit()
return told(replies)
