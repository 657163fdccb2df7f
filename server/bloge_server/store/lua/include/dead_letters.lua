-- Which dead letters are meant, and what is read of each.

local FAILURE = '"failure":{"type":' -- how a failure begins in the history; inside of texts quotes are escaped

-- Returns the type of the last failure of a history, as JSON writes it between quotes; empty if there was none.
local function last_error_type(history)
  local from, last = 1, nil
  while true do
    local _, to = string.find(history, FAILURE, from, true)
    if not to then break end
    from, last = to + 1, to + 1
  end
  if not last then return '' end
  local start = string.find(history, '"', last, true) + 1
  local stop = start
  while string.sub(history, stop, stop) ~= '"' do
    stop = stop + (string.sub(history, stop, stop) == '\\' and 2 or 1)
  end
  return string.sub(history, start, stop - 1)
end

-- Returns reason, type of the last failure and packed state of a dead letter that is meant; nil of another one. `wanted` has
-- a reason and an error type, empty for any, and bytes that the description must contain.
local function meant(id, wanted)
  local parts = wanted.parts
  local found = redis.call('HMGET', item_key .. id, 'dead_reason', 'history', 'state', #parts > 0 and 'spec' or 'x')
  local reason, history, state, spec = found[1] or '', found[2] or '', found[3], found[4] or ''
  if not state or (wanted.reason ~= '' and reason ~= wanted.reason) then return nil end
  for _, part in ipairs(parts) do
    if not string.find(spec, part, 1, true) then return nil end
  end
  local error_type = last_error_type(history)
  if wanted.error_type ~= '' and error_type ~= wanted.error_type then return nil end
  return reason, error_type, state
end
