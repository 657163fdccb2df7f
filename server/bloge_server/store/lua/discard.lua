#!lua flags=allow-oom
-- Drops dead letters; a node that still waits resumes with outcome FAILED, in the same script.
-- Transition: DEAD_LETTER -> CANCELLED
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), then item ids
-- Returns: for each item: status, then the item's own status and outcome (-: none)
-- Statuses: DISCARDED, WRONG_STATUS, NOT_FOUND, UNKNOWN_SCHEMA
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
local replies = {}

local function drop(record)
  settle(record)
  if record.status ~= 'DEAD_LETTER' then return 'WRONG_STATUS' end
  discard(record)
  return 'DISCARDED'
end

for i = 4, #ARGV do
  local record = load(ARGV[i])
  local status = record and drop(record) or missing(ARGV[i])
  replies[#replies + 1] = { status, record and record.status or NONE, record and record.outcome or NONE }
end
commit()
return told(replies)
