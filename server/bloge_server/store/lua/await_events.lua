#!lua flags=allow-oom
-- Notes that somebody waits for an execution's next events, so that an append tells of itself.
-- Transition: none
-- Keys: journal, execution
-- Arguments: now (ms; 0: store clock), how long (ms)
-- Returns: status, next sequence number
-- Statuses: OK, NOT_FOUND, UNKNOWN_SCHEMA
-- Atomic: the call
--- @include execution
local record, refusal = load_execution()
if not record then return { refusal, '0' } end
local until_ms = now + tonumber(ARGV[2])
if until_ms > record.awaited_until then redis.call('HSET', keys.execution, 'awaited_until', int(until_ms)) end
return { 'OK', int(record.next) }
