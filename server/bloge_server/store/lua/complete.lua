#!lua flags=allow-oom
-- Finishes items: with an output, with a business error, or as a cancelled execution. Output, outcome and outbox entry
-- are one write.
-- Transition: CLAIMED -> DONE; READY, RETRY_WAIT or DEAD_LETTER (LEASE_LOST) -> DONE with the item's last token
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), then for each report: token
--   (id/fence/nonce), kind (complete, business_error, cancelled), digest, body (output, or the business error as JSON)
-- Returns: for each report an answer (see include/judge.lua)
-- Statuses: ACCEPTED, or the reason why not, with late=1 if the output was kept
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
--- @include judge
local OUTCOMES = { complete = 'COMPLETED', business_error = 'FAILED', cancelled = 'CANCELLED' }
local replies = {}

local function finish(record, kind, body)
  took('run', now - record.claimed)
  if kind == 'complete' then took('total', now - enqueued_at(record)) end
  put(record, kind == 'business_error' and 'business_error' or 'output', body)
  place(record, 'DONE')
  emit(record, OUTCOMES[kind])
  return answer('ACCEPTED', record)
end

for at = 4, #ARGV, 4 do
  local kind, digest, body = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local record, fence, reply, late = judge(ARGV[at], kind, digest)
  if record and not reply and kind == 'cancelled' and not is_execution(record.policy) then
    reply = answer('INVALID_FIELD', record) -- only an execution's owner carries out a cancellation
  elseif record and not reply then
    reply = finish(record, kind, body)
    decide(record, fence, kind, digest, reply)
  elseif late then
    if kind == 'complete' then
      local kept = keep_late_output(record, fence, string.match(reply, '^%S+'), body)
      if kept then reply = reply .. ' ' .. kept end
    end
    decide(record, fence, kind, digest, reply)
  end
  replies[#replies + 1] = reply
end
commit()
return told(replies)
