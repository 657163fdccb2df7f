#!lua flags=allow-oom
-- Removes an execution's journal and record, unless it was started just now: its item may be on its way.
-- Transition: none
-- Keys: journal, execution
-- Arguments: now (ms; 0: store clock), least age (ms; 0: any)
-- Returns: whether they are gone (1 or 0)
-- Statuses: none
-- Atomic: the call
--- @include execution
local start_ms = tonumber(redis.call('HGET', keys.execution, 'start_ms') or 0)
if start_ms + tonumber(ARGV[2]) > now then return 0 end
redis.call('UNLINK', keys.journal, keys.execution)
return 1
