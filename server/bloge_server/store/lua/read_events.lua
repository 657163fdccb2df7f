#!lua flags=no-writes
-- Reads events of an execution's journal.
-- Transition: none
-- Keys: journal, execution
-- Arguments: now (unused), first sequence number, most events, most bytes of events (the first is always given)
-- Returns: status, where the execution stands, next sequence number, then events, each as sequence number, time of its
--   append (ms) and contents
-- Statuses: OK, NOT_FOUND, UNKNOWN_SCHEMA
-- Atomic: the read
--- @include execution
local record, refusal = load_execution()
if not record then return { refusal, '-', '0' } end
local events = read_events(tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
return { 'OK', record.status, int(record.next), unpack(events) }
