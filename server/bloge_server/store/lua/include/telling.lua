-- What a call did: told with its reply, so that the server which made the call counts it once.

local tally, spans, instants = {}, {}, {}

-- Notes that something happened to an item: an event, and a word that says more; or to so many items at once.
local function happened(event, word, number)
  local words = tally[event]
  if not words then words = {} tally[event] = words end
  word = word or ''
  words[word] = (words[word] or 0) + (number or 1)
end

-- Notes how long something took, in ms. Items of a batch share few spans, so equal ones are counted.
local function took(span, ms)
  local counts = spans[span]
  if not counts then counts = {} spans[span] = counts end
  counts[ms] = (counts[ms] or 0) + 1
end

-- Returns when an item was enqueued, in ms: the last word but one of its policy. Items of a batch share it, mostly.
local function enqueued_at(record)
  local tail = string.sub(record.policy, -27) -- the word has 13 digits for some centuries
  local at = instants[tail]
  if not at then
    at = tonumber(string.match(tail, '(%d+) %S+$'))
    instants[tail] = at
  end
  return at
end

-- Returns names with, for each, its keys and values in turn.
local function flat(tables)
  local list = {}
  for name, entries in pairs(tables) do
    local entry = {}
    for key, value in pairs(entries) do
      entry[#entry + 1] = key
      entry[#entry + 1] = value
    end
    list[#list + 1] = name
    list[#list + 1] = entry
  end
  return list
end

-- Returns a script's whole reply: its own; events, each with its words and counts; spans, each with its ms and counts.
local function told(reply)
  return { reply, flat(tally), flat(spans) }
end
