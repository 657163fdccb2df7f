-- Records an execution, before its item is enqueued: so that one business key has one topic, and one journal.
-- Transition: none -> PENDING
-- Keys: journal, execution
-- Arguments: now (ms; 0: store clock), replace the graph of a record that is there (1, or 0), worker topic, graph name, graph
--   hash, business key
-- Returns: status, worker topic, start time (ms)
-- Statuses: CREATED, EXISTS, UNKNOWN_SCHEMA
-- Atomic: the call
--- @include execution
local replace, topic, graph_name, graph_hash, business_key = ARGV[2] == '1', ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local schema = redis.call('HGET', keys.execution, 'schema')
if not schema then
  redis.call('HSET', keys.execution, 'schema', SCHEMA, 'topic', topic, 'graph_name', graph_name, 'graph_hash', graph_hash,
    'business_key', business_key, 'start_ms', int(now), 'status', 'PENDING', 'next', '1', 'fence', '0', 'nonce', '-',
    'awaited_until', '0')
  return { 'CREATED', topic, int(now) }
end
if not readable(schema) then return { 'UNKNOWN_SCHEMA', '', '0' } end
if replace then redis.call('HSET', keys.execution, 'graph_hash', graph_hash) end
return { 'EXISTS', unpack(redis.call('HMGET', keys.execution, 'topic', 'start_ms')) }
