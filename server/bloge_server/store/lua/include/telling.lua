-- What a call did: told with its reply, so that the server which made the call counts it once.

local tally, spans, instants = {}, {}, {}

-- What is worth a line in the log, by event and word, with the item in it; of each call only so many.
local ANY = setmetatable({}, { __index = function() return true end })
local NOTABLE = {
  dead_letter = ANY, late_output = ANY, retry = { LEASE_LOST = true, ATTEMPT_TIMEOUT = true },
  outcome = { TIMED_OUT = true, CANCELLED = true },
}
local MOST_NOTED = 50
local noted = {}

-- The topic's journal, for live views: one entry of the stream for each call that did something, a line for each event. How
-- many lines are kept stands behind the retention; without it, or with 0, there is no journal.
local JOURNAL = tonumber(string.match(ARGV[2] or '', ' (%d+)$') or 0)
local FEWEST_ENTRIES = 100 -- kept however many lines the latest call wrote
local journal_lines = {}

local function journal(record, event, word)
  if JOURNAL == 0 then return end
  journal_lines[#journal_lines + 1] = event .. ' ' .. (word == '' and NONE or word) .. ' ' .. record.id .. ' ' .. record.worker
    .. ' ' .. record.fence .. ' ' .. record.reply_group
end

-- Notes that something happened to so many items.
local function count(event, word, number)
  local words = tally[event]
  if not words then words = {} tally[event] = words end
  words[word] = (words[word] or 0) + number
end

-- Notes that something happened to an item: an event, and a word that says more (empty: nothing).
local function happened(record, event, word)
  count(event, word, 1)
  journal(record, event, word)
  local words = NOTABLE[event]
  if words and words[word] and #noted < MOST_NOTED then
    noted[#noted + 1] = { event, word, record.id, record.worker, record.fence, get(record, 'spec') or '' }
  end
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

at_commit[#at_commit + 1] = function()
  local lines = #journal_lines
  if lines == 0 then return end
  local entries = math.max(FEWEST_ENTRIES, math.ceil(JOURNAL / lines))
  redis.call('XADD', base .. 'events', 'MAXLEN', '~', int(entries), '*', 'e', table.concat(journal_lines, '\n'))
end

-- Drops what the journal keeps for longer than it should: all of it, if there is to be none.
local function trim_journal(keep)
  if JOURNAL == 0 then return redis.call('UNLINK', base .. 'events') end
  redis.call('XTRIM', base .. 'events', 'MINID', '~', int(now - keep))
end

-- Returns a script's whole reply: its own; events, each with its words and counts; spans, each with its ms and counts; and
-- what is notable: event, word, item id, worker, fence, spec.
local function told(reply)
  return { reply, flat(tally), flat(spans), noted }
end
