#!lua flags=allow-oom
-- Finishes items: with an output, with a business error, or as a cancelled execution. Output, outcome and outbox entry
-- are one write.
-- Transition: CLAIMED -> DONE; READY, RETRY_WAIT or DEAD_LETTER (LEASE_LOST) -> DONE with the item's last token
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), origin (a word
--   of the caller's, if it is to be told of the outcomes; -: it is not), then for each report: token (id/fence/nonce), kind
--   (complete, business_error, cancelled), digest, body (output, or the business error as JSON)
-- Returns: for each report an answer (see include/judge.lua); then, to an origin, for each reply group: name, place of the
--   outcome before (0: none), place of the last one, whether all are told (1, or 0: they must be read), instant (ms), then
--   for each: position of its report, spec, worker, retries
-- Statuses: ACCEPTED, or the reason why not, with late=1 if the output was kept
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
--- @include judge
origin = ARGV[4]
local tells = origin ~= NONE
if tells then READ_WITH[2], READ_WITH[3] = 'spec', 'dead_reason' end
local OUTCOMES = { complete = 'COMPLETED', business_error = 'FAILED', cancelled = 'CANCELLED' }
local replies, finished = {}, {}

local function finish(record, kind, body)
  took('run', now - record.claimed)
  if kind == 'complete' then took('total', now - enqueued_at(record)) end
  put(record, kind == 'business_error' and 'business_error' or 'output', body)
  place(record, 'DONE')
  emit(record, OUTCOMES[kind])
  return answer('ACCEPTED', record)
end

-- Notes what makes an outcome, with the report at a position. One that was a dead letter has more to it, and is read.
local function tell(record, position)
  local group = finished[record.reply_group]
  if not group then group = {} finished[record.reply_group] = group end
  local n = #group
  group[n + 1], group[n + 2], group[n + 3], group[n + 4] = position, record.spec, record.worker, record.retry_count
end

-- Returns what a caller must know to take the outcomes of a reply group without reading them.
local function emission(group, number)
  local outcomes = finished[group] or {}
  local before = redis.call('ZRANGE', outboxes[group], -1, -1, 'WITHSCORES')
  local whole = #outcomes == 4 * number and 1 or 0
  return { group, before[2] or '0', int(counters.outcomes), whole, NOW, unpack(whole == 1 and outcomes or {}) }
end

for at = 5, #ARGV, 4 do
  local kind, digest, body = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local record, fence, reply, late = judge(ARGV[at], kind, digest)
  if record and not reply and kind == 'cancelled' and not is_execution(record.policy) then
    reply = answer('INVALID_FIELD', record) -- only an execution's owner carries out a cancellation
  elseif record and not reply then
    reply = finish(record, kind, body)
    decide(record, fence, kind, digest, reply)
    if tells and not record.dead_reason then tell(record, #replies + 1) end
  elseif late then
    if kind == 'complete' then
      local kept = keep_late_output(record, fence, string.match(reply, '^%S+'), body)
      if kept then reply = reply .. ' ' .. kept end
    end
    decide(record, fence, kind, digest, reply)
  end
  replies[#replies + 1] = reply
end
for group, number in pairs(emitted) do
  if tells then replies[#replies + 1] = emission(group, number) end
end
commit()
return told(replies)
