#!lua flags=allow-oom
-- Reads the outcome of one item; if there is none yet, marks the item so that its outcome will be heralded.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), id
-- Returns: status, then the item's fields as in include/outcome_fields.lua if there is an outcome
-- Statuses: NOT_FOUND, UNKNOWN_SCHEMA, WAITING, DONE
-- Atomic: the call
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
--- @include outcome_fields
local record = load(ARGV[4])
if not record then return told({ missing(ARGV[4]) }) end
settle(record)
local waiting = record.outcome == NONE
if waiting and not get(record, 'awaited') then put(record, 'awaited', '1') end
commit()
if waiting then return told({ 'WAITING' }) end
return told({ 'DONE', read_outcome(ARGV[4]) })
