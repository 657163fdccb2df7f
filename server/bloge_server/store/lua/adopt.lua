#!lua flags=allow-oom
-- Takes a stored late output of a dead letter as its outcome.
-- Transition: DEAD_LETTER without outcome -> DONE
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), item id, fence of the late output
-- Returns: status, then the item's own status and outcome (-: none)
-- Statuses: ADOPTED, WRONG_STATUS, NO_OUTPUT (none was kept under that fence), NOT_FOUND, UNKNOWN_SCHEMA
-- Atomic: the call
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
local record = load(ARGV[4])
if not record then return told({ missing(ARGV[4]), NONE, NONE }) end
settle(record)
local status = 'WRONG_STATUS'
if record.status == 'DEAD_LETTER' and record.outcome == NONE then
  local late = get(record, 'late_output:' .. ARGV[5])
  local header, output = string.match(late or '', '^([^\n]*)\n(.*)$')
  local size = header and tonumber(string.match(header, '^%S+ (%S+)'))
  status = 'NO_OUTPUT'
  if size and size == #output then
    happened(record, 'adopted', '')
    put(record, 'output', output)
    place(record, 'DONE')
    emit(record, 'COMPLETED')
    status = 'ADOPTED'
  end
end
commit()
return told({ status, record.status, record.outcome })
