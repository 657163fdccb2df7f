#!lua flags=allow-oom
-- Takes failures: a retry within the budget, else a dead letter.
-- Transition: CLAIMED -> RETRY_WAIT; CLAIMED -> DEAD_LETTER
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), then for each report: token
--   (id/fence/nonce), digest, error type, failure (JSON), fatal (1: not worth a retry), retry after (ms; -1: as the policy says)
-- Returns: for each report an answer (see include/judge.lua)
-- Statuses: ACCEPTED with retry=<ms> if there is another attempt, or the reason why not
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
--- @include judge
local replies = {}

local function is_fatal(record, error_type)
  local types = get(record, 'fatal_types')
  return types and string.find('\n' .. types .. '\n', '\n' .. error_type .. '\n', 1, true) ~= nil
end

local function take(record, failure, fatal, retry_after)
  -- A failure that comes after the lease lapsed costs nothing more: the loss was counted, only the error is kept.
  if record.status ~= 'CLAIMED' then
    remember_attempt(record, 'FAILED', failure)
    return answer('ACCEPTED', record)
  end
  took('run', now - record.claimed)
  local delay = retry_or_bury(record, 'FAILED', failure, fatal, retry_after)
  return answer('ACCEPTED', record, delay and ('retry=' .. int(delay)) or nil)
end

for at = 4, #ARGV, 6 do
  local digest, retry_after = ARGV[at + 1], tonumber(ARGV[at + 5])
  local record, fence, reply, undecided = judge(ARGV[at], 'fail', digest)
  if record and not reply then
    reply = take(record, ARGV[at + 3], ARGV[at + 4] == '1' or is_fatal(record, ARGV[at + 2]), retry_after >= 0 and retry_after or nil)
    undecided = true
  end
  if undecided then decide(record, fence, 'fail', digest, reply) end
  replies[#replies + 1] = reply
end
commit()
return told(replies)
