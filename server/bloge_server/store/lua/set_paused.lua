-- Stops claims of a topic, or allows them again; held leases go on.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (unused), paused (1 or 0)
-- Returns: OK
-- Statuses: OK
-- Atomic: the call
--- @include topic
if ARGV[2] == '1' then
  counters.paused = 1
else
  counters.paused = 0
  herald('ready')
end
commit_indexes()
return 'OK'
