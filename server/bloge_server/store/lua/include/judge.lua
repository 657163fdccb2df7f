-- Judges a report by its token. An answer is a short string: ACCEPTED or a reason, the item's status, then facts as
-- name=value. The answer that decided a token is kept, so the same report gets the same answer.

local LATE_OUTPUTS_KEPT, LATE_OUTPUT_BYTES = 4, 65536
local TOKEN = '^([%w._-]+)/(%d+)/([%w_-]+)$'
-- An earlier claim: fence, nonce, worker, what it decided.
local CLAIM_LINE = '^(%S+) (%S+) (%S+) (%S+)$'
local READ_WITH = { 'awaited' } -- what is read of a record besides, in the same call
local FINISHES = { complete = true, business_error = true, cancelled = true }

local function answer(reason, record, facts)
  return reason .. ' ' .. record.status .. (facts and (' ' .. facts) or '')
end

-- Returns why an item's last token can do nothing more; nil while it can. As long as nobody took over late work counts,
-- even for a dead letter of lost leases.
local function why_over(record)
  local status, outcome = record.status, record.outcome
  if status == 'CLAIMED' or status == 'READY' or status == 'RETRY_WAIT' then return nil end
  if outcome == 'TIMED_OUT' then return 'DEADLINE_PASSED' end
  if outcome == 'CANCELLED' or status == 'CANCELLED' then return 'CANCELLED' end
  if status == 'DONE' then return 'ALREADY_DONE_BY_OTHER' end
  if outcome == NONE and get(record, 'dead_reason') == 'LEASE_LOST' then return nil end
  return 'DEAD_LETTERED'
end

-- Returns the answer for a token that has decided already, nil if the item's last token may still finish; and whether it
-- is the first report of a run that the attempt timeout ended.
local function answer_decided(record, decision, kind, digest, is_last)
  local decided_kind, decided_digest, decided_answer
  for one in string.gmatch(decision, '[^|]+') do
    decided_kind, decided_digest, decided_answer = string.match(one, '^([^:]+):([^:]*):(.*)$')
    if decided_kind == kind and decided_digest == digest then return (string.gsub(decided_answer, ',', ' ')) end
  end
  if decided_kind == 'timeout' then return answer('LEASE_EXPIRED', record), true end
  -- A release hands the right to run back, but work that was finished all the same counts if nobody took over.
  local handed_back = is_last and decided_kind == 'release' and string.match(decided_answer, '^ACCEPTED')
  if handed_back and FINISHES[kind] and not why_over(record) then return nil end
  return answer('CONFLICTING_REPORT', record)
end

-- Tells who took over; after a replay nobody has, yet.
local function successor(record)
  if record.worker == NONE then return nil end
  return string.format('by=%s ago=%s', record.worker, int(math.max(0, now - (tonumber(record.claimed) or now))))
end

-- Judges a token of an earlier claim. Returns the answer, and whether the token was really issued and undecided.
local function judge_earlier(record, fence, nonce, kind, digest)
  local lines, oldest = 0, nil
  for line in string.gmatch(get(record, 'claims') or '', '[^\n]+') do
    lines = lines + 1
    local claim_fence, claim_nonce, _, decision = string.match(line, CLAIM_LINE)
    oldest = oldest or tonumber(claim_fence)
    if claim_fence == fence then
      if claim_nonce ~= nonce then return 'INVALID_TOKEN -' end
      if decision ~= NONE then return answer_decided(record, decision, kind, digest, false) end
      return answer(record.status == 'DONE' and 'ALREADY_DONE_BY_OTHER' or 'SUPERSEDED', record, successor(record)), true
    end
  end
  -- Too old to remember: its nonce cannot be checked, so it learns that it is over and nothing else.
  if lines == CLAIMS_KEPT and tonumber(fence) < oldest then return 'SUPERSEDED -' end
  return 'INVALID_TOKEN -'
end

-- Remembers the answer that decided a token.
local function decide(record, fence, kind, digest, reply)
  if fence == record.fence then return decide_current(record, kind, digest, reply) end
  local decision = packed_decision(kind, digest, reply)
  local claims = {}
  for line in string.gmatch(get(record, 'claims') or '', '[^\n]+') do
    local claim_fence, claim_nonce, worker = string.match(line, CLAIM_LINE)
    claims[#claims + 1] = claim_fence == fence and table.concat({ fence, claim_nonce, worker, decision }, ' ') or line
  end
  put(record, 'claims', table.concat(claims, '\n') .. '\n')
end

local function claimant(record, fence)
  if fence == record.fence then return record.worker end
  for line in string.gmatch(get(record, 'claims') or '', '[^\n]+') do
    local claim_fence, _, worker = string.match(line, CLAIM_LINE)
    if claim_fence == fence then return worker end
  end
  return NONE
end

-- Keeps an output that came too late, once for each token, the latest few. Returns the fact for the answer, nil for an
-- output that is too large: of it only that there was one is kept.
local function keep_late_output(record, fence, reason, output)
  happened(record, 'late_output', reason)
  local size = #output
  if size > LATE_OUTPUT_BYTES then output = '' end
  local fences = {}
  for kept in string.gmatch(get(record, 'late_fences') or '', '%S+') do
    fences[#fences + 1] = kept
  end
  fences[#fences + 1] = fence
  if #fences > LATE_OUTPUTS_KEPT then
    put(record, 'late_output:' .. table.remove(fences, 1), false)
  end
  put(record, 'late_fences', table.concat(fences, ' '))
  put(record, 'late_output:' .. fence, int(now) .. ' ' .. size .. ' ' .. claimant(record, fence) .. ' ' .. reason .. '\n' .. output)
  return size <= LATE_OUTPUT_BYTES and 'late=1' or nil
end

-- Loads and settles the item of a report and judges its token (id/fence/nonce). Returns record, fence and answer: no
-- answer means that the token is the item's last and undecided, or may still finish. `late` is true where a refused
-- output should be kept.
local function judge(token, kind, digest)
  local id, fence, nonce = string.match(token, TOKEN)
  if not id then return nil, nil, 'INVALID_TOKEN -' end
  local record = load(id, unpack(READ_WITH))
  if not record then return nil, nil, missing(id) .. ' -' end
  settle(record)
  if fence ~= record.fence then
    local reply, late = judge_earlier(record, fence, nonce, kind, digest)
    return record, fence, reply, late
  end
  if nonce ~= record.nonce or nonce == NONE then return nil, nil, 'INVALID_TOKEN -' end -- after a replay there is none
  if record.decided ~= NONE then
    local reply, late = answer_decided(record, record.decided, kind, digest, true)
    if reply then return record, fence, reply, late end
  end
  local over = why_over(record)
  if not over then return record, fence, nil end
  return record, fence, answer(over, record), true
end
