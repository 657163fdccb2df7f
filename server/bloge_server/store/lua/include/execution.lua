--- @include start
-- An execution's own slot: its journal, a stream whose ids are the sequence numbers, and its record beside it.

-- Keys: journal, execution
local keys = { journal = KEYS[1], execution = KEYS[2] }

local ENDED = { COMPLETED = true, FAILED = true, CANCELLED = true }

-- Returns the record's fields by name; nil and the status to answer if there is none that this release can read.
local function load_execution()
  local values = redis.call('HMGET', keys.execution, 'schema', 'status', 'next', 'fence', 'nonce', 'awaited_until')
  if not values[1] then return nil, 'NOT_FOUND' end
  if not readable(values[1]) then return nil, 'UNKNOWN_SCHEMA' end
  return {
    status = values[2], next = tonumber(values[3]), fence = tonumber(values[4]), nonce = values[5],
    awaited_until = tonumber(values[6]),
  }
end

-- Returns events from a sequence number on, as {sequence, time of the append (ms), event}, until there are `most` of them
-- or they have more than `max_bytes`; the first is always given.
local function read_events(first, most, max_bytes)
  local STEP = 50 -- a step may read as many events of any size beyond the limit, and no more
  local events, bytes = {}, 0
  while #events < most do
    local found = redis.call('XRANGE', keys.journal, int(first + #events), '+', 'COUNT', math.min(STEP, most - #events))
    for _, entry in ipairs(found) do
      local at, event = entry[2][2], entry[2][4]
      bytes = bytes + #event
      if #events > 0 and bytes > max_bytes then return events end
      events[#events + 1] = { (string.gsub(entry[1], '-.*', '')), at, event }
    end
    if #found < STEP then return events end
  end
  return events
end
