-- What a record remembers of ended attempts and earlier claims, bounded in number and size.

local HISTORY_ENTRIES, HISTORY_BYTES, CLAIMS_KEPT = 32, 262144, 16

-- Drops the oldest lines of a text until at most `lines` lines and, with more than one left, `bytes` bytes remain.
local function trim(text, lines, bytes)
  local _, count = string.gsub(text, '\n', '')
  while count > lines or (count > 1 and #text > bytes) do
    text = string.sub(text, string.find(text, '\n', 1, true) + 1)
    count = count - 1
  end
  return text
end

-- Adds the claim that just ended to the history. `failure` is JSON or nil; `due` is ms or nil.
local function remember_attempt(record, ending, failure, due)
  if due then happened(record, 'retry', ending) end
  local entry = string.format(
    '{"attempt":%d,"worker":"%s","fence":%s,"claimed":%s,"ended":%s,"end":"%s"%s%s}\n',
    record.retry_count + 1, record.worker, record.fence, record.claimed, int(now), ending,
    due and (',"due":' .. int(due)) or '', failure and (',"failure":' .. failure) or '')
  put(record, 'history', trim((get(record, 'history') or '') .. entry, HISTORY_ENTRIES, HISTORY_BYTES))
end

-- Keeps what the current token decided, for reports that come after the item was claimed or replayed again.
local function archive_claim(record)
  if record.nonce == NONE then return end
  local line = record.fence .. ' ' .. record.nonce .. ' ' .. record.worker .. ' ' .. record.decided .. '\n'
  put(record, 'claims', trim((get(record, 'claims') or '') .. line, CLAIMS_KEPT, HISTORY_BYTES))
  set(record, 'decided', NONE)
end
