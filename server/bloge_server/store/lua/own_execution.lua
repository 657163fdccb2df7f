#!lua flags=allow-oom
-- Judges the lease under which an execution's journal is to be opened. A journal that has grown counts as progress.
-- Transition: CLAIMED -> CLAIMED
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms), dice ([0, 1)), token (id/fence/nonce), next sequence number of the
--   journal
-- Returns: an answer (see include/judge.lua), the worker, whether cancellation was asked for (1 or 0), why
-- Statuses: ACCEPTED, or the reason why not
-- Atomic: the call
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
--- @include judge
--- @include progress
local record, _, reply = judge(ARGV[4], 'heartbeat', NONE)
if not record then return told({ reply, '', 0, '' }) end
if not reply then
  if not is_execution(record.policy) then reply = 'INVALID_TOKEN -'
  elseif record.status ~= 'CLAIMED' then reply = answer('LEASE_EXPIRED', record)
  else
    note_progress(record, ARGV[5])
    reply = answer('ACCEPTED', record)
  end
end
local requested, reason = get(record, 'cancel_requested'), get(record, 'cancel_reason')
commit()
return told({ reply, record.worker, requested and 1 or 0, reason or '' })
