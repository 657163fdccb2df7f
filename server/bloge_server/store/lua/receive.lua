#!lua flags=allow-oom
-- Confirms offers: the full lease begins, from when the receipt came.
-- Transition: CLAIMED -> CLAIMED (received)
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), retention (ms; behind a blank: lines of the journal), dice ([0, 1)), then for each lease: token (id/fence/nonce),
--   age of the receipt (ms)
-- Returns: for each lease an answer (see include/judge.lua)
-- Statuses: ACCEPTED with lease=<ms>, or the reason why not
-- Atomic: the whole batch
--- @include topic
--- @include record
--- @include telling
--- @include history
--- @include outbox
--- @include settle
--- @include judge
local replies = {}
for at = 4, #ARGV, 2 do
  local record, _, reply = judge(ARGV[at], 'receipt', '-')
  if not reply then
    if record.status ~= 'CLAIMED' then
      reply = answer('OFFER_WITHDRAWN', record)
    else
      if record.received ~= '1' then
        set(record, 'received', '1')
        place(record, 'CLAIMED', lease_deadline(record, record.lease - ARGV[at + 1]))
      end
      reply = answer('ACCEPTED', record, 'lease=' .. int(index_score(keys.leases, record.id) - now))
    end
  end
  replies[#replies + 1] = reply
end
commit()
return told(replies)
