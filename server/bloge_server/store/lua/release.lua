#!lua flags=allow-oom
-- Hands items back unfinished, at no cost of an attempt; too many releases make a dead letter.
-- Transition: CLAIMED -> READY; CLAIMED -> RETRY_WAIT (delayed); CLAIMED -> DEAD_LETTER (RELEASED_TOO_OFTEN)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), then for each report: token
--   (id/fence/nonce), digest, delay (ms), reason (JSON string), draining (1: does not count)
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
local MAX_RELEASES = 100
local replies = {}

local function hand_back(record, delay, reason, draining)
  if record.status ~= 'CLAIMED' then return answer('ACCEPTED', record) end
  local failure = '{"type":"RELEASED","message":' .. reason .. '}'
  local releases = tonumber(get(record, 'release_count') or 0) + (draining and 0 or 1)
  put(record, 'release_count', releases)
  if releases > MAX_RELEASES then
    remember_attempt(record, 'RELEASED', failure)
    dead_letter(record, 'RELEASED_TOO_OFTEN')
    return answer('ACCEPTED', record)
  elseif delay > 0 then
    remember_attempt(record, 'RELEASED', failure, now + delay)
    place(record, 'RETRY_WAIT', now + delay)
    herald_due(now + delay)
  else
    remember_attempt(record, 'RELEASED', failure)
    happened(record, 'retry', 'RELEASED')
    place(record, 'READY', record.order)
    herald('ready')
  end
  return answer('ACCEPTED', record, 'retry=' .. int(delay))
end

for at = 4, #ARGV, 5 do
  local digest = ARGV[at + 1]
  local record, fence, reply, undecided = judge(ARGV[at], 'release', digest)
  if record and not reply then
    reply = hand_back(record, tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4] == '1')
    undecided = true
  end
  if undecided then decide(record, fence, 'release', digest, reply) end
  replies[#replies + 1] = reply
end
commit()
return told(replies)
