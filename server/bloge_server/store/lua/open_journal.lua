#!lua flags=allow-oom
-- Opens an execution's journal for the holder of a lease, and closes it for every earlier one.
-- Transition: PENDING -> RUNNING
-- Keys: journal, execution
-- Arguments: now (ms; 0: store clock), fence, nonce, most events, most bytes of events (the first is always given)
-- Returns: status, where the execution stands, next sequence number, then the first events, each as sequence number, time
--   of its append (ms) and contents
-- Statuses: OK, NOT_FOUND, UNKNOWN_SCHEMA, FENCED_OFF
-- Atomic: the call; the same lease may open again
--- @include execution
local fence, nonce, most, max_bytes = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local record, refusal = load_execution()
if not record then return { refusal, '-', '0' } end
if fence < record.fence then return { 'FENCED_OFF', record.status, int(record.fence) } end
local status = record.status == 'PENDING' and 'RUNNING' or record.status
redis.call('HSET', keys.execution, 'fence', int(fence), 'nonce', nonce, 'status', status)
return { 'OK', status, int(record.next), unpack(read_events(1, most, max_bytes)) }
