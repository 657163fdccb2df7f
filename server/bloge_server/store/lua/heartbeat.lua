#!lua flags=allow-oom
-- Extends leases, keeps progress, and tells what changed.
-- Transition: CLAIMED -> CLAIMED; READY or RETRY_WAIT -> CLAIMED (a lapsed lease that nobody took over, same fence)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), then for each lease: token (id/fence/nonce),
--   lease (ms; 0: as the claim got), has progress (1 or 0), progress
-- Returns: for each lease an answer (see include/judge.lua)
-- Statuses: ACCEPTED with lease=<ms>, and cancel=1 if an execution is to be cancelled; or the reason why not
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
--- @include judge
--- @include progress
local replies = {}

local function extend(record, lease)
  local lease_end = lease_deadline(record, lease)
  if record.status == 'CLAIMED' then
    lease_end = math.max(lease_end, lease_end_of(record))
  elseif record.status == 'DEAD_LETTER' or lease_end <= now then
    return answer('LEASE_EXPIRED', record)
  else
    happened(record, 'resumed', '')
  end
  place(record, 'CLAIMED', lease_end)
  if record.received ~= '1' then set(record, 'received', '1') end
  local asked = is_execution(record.policy) and get(record, 'cancel_requested') and ' cancel=1' or ''
  return answer('ACCEPTED', record, 'lease=' .. int(lease_end - now) .. asked)
end

for at = 4, #ARGV, 4 do
  local lease = tonumber(ARGV[at + 1])
  local record, _, reply = judge(ARGV[at], 'heartbeat', '-')
  if not reply then
    reply = extend(record, lease > 0 and lease or tonumber(record.lease))
    if ARGV[at + 2] == '1' and record.status == 'CLAIMED' then
      note_progress(record, ARGV[at + 3])
    end
  end
  replies[#replies + 1] = reply
end
commit()
return told(replies)
