#!lua flags=allow-oom
-- Sets what a topic has of its own, or gives it back to the server's settings. A paused topic gives no claims; held leases
-- go on.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), then name (paused, backlog_limit, dead_letter_limit, dead_letter_policy) and value
--   (empty: as the server says, or not paused) in turn
-- Returns: OK
-- Statuses: OK
-- Atomic: the call
--- @include topic
for i = 2, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', keys.topic, ARGV[i])
  else
    redis.call('HSET', keys.topic, ARGV[i], ARGV[i + 1])
  end
end
herald('ready')
herald_due(now)
commit_indexes()
return 'OK'
