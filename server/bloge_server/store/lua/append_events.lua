#!lua flags=allow-oom
-- Appends events to an execution's journal, each sequence number once, for the lease that has opened it last.
-- Transition: RUNNING -> COMPLETED, FAILED or CANCELLED (with the event that ends the execution)
-- Keys: journal, execution
-- Arguments: now (ms; 0: store clock), fence, nonce, first sequence number, status of an execution that ends with the last
--   event (empty: it does not), then for each event its contents
-- Returns: status, next sequence number (FENCED_OFF: the later fence), whether somebody waits for events (1 or 0)
-- Statuses: OK, NOT_FOUND, UNKNOWN_SCHEMA, NOT_OPEN, FENCED_OFF, SEQUENCE_MISMATCH, ENDED
-- Atomic: all events or none; what stands there already with the same contents is left alone
--- @include execution
local FIRST = 6 -- the place of the first event among the arguments
local fence, nonce, first, ending = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5]
local last = first + #ARGV - FIRST

local function is_open(record)
  return record.fence == fence and record.nonce == nonce
end

-- Returns whether the events that stand there already are those that are appended.
local function same_as_before(next)
  local found = redis.call('XRANGE', keys.journal, int(first), int(math.min(last, next - 1)))
  for i, entry in ipairs(found) do
    if entry[2][4] ~= ARGV[FIRST + i - 1] then return false end
  end
  return #found == math.min(last, next - 1) - first + 1
end

local function judge(record)
  if fence < record.fence then return 'FENCED_OFF', record.fence end
  if not is_open(record) then return 'NOT_OPEN', 0 end
  if first > record.next or (first < record.next and not same_as_before(record.next)) then
    return 'SEQUENCE_MISMATCH', record.next
  end
  if ENDED[record.status] and last >= record.next then return 'ENDED', record.next end
  return nil
end

local record, refusal = load_execution()
if not record then return { refusal, '0', 0 } end
local status, number = judge(record)
if status then return { status, int(number), 0 } end
for sequence = record.next, last do
  redis.call('XADD', keys.journal, int(sequence) .. '-0', 'at', int(now), 'event', ARGV[FIRST + sequence - first])
end
if last >= record.next then
  redis.call('HSET', keys.execution, 'next', int(last + 1))
  if ending ~= '' then redis.call('HSET', keys.execution, 'status', ending, 'end_ms', int(now)) end
end
return { 'OK', int(math.max(record.next, last + 1)), record.awaited_until > now and 1 or 0 }
