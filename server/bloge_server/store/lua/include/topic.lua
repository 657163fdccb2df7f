--- @include start
-- The topic's keys, and the changes that a script gathers before it writes.
-- Every script reads and decides first; `commit` does all the writing, so a refused call has changed nothing.

-- Keys: ready, leases, retry, deadlines, dead, finished, topic
local keys = {
  ready = KEYS[1], leases = KEYS[2], retry = KEYS[3], deadlines = KEYS[4],
  dead = KEYS[5], finished = KEYS[6], topic = KEYS[7],
}
local base = string.sub(keys.ready, 1, -6) -- all keys of a topic share this beginning, and so their slot

local item_key = base .. 'item:'

-- The score of a ready item is (99 - priority) * 2^46 + sequence: that many items keep their place within a priority.
local PRIORITY_STEP = 70368744177664

local index_changes, counters, heralds, earliest = {}, {}, {}, nil
local at_commit = {} -- what other includes write with the rest

-- The last word on a member counts, so a record may move several times in one call.
local function index_add(key, score, id)
  local changes = index_changes[key]
  if not changes then changes = {} index_changes[key] = changes end
  changes[id] = score
end

local function index_remove(key, id)
  index_add(key, false, id)
end

-- Returns the score of a member as this call leaves it; false if it does not stand there.
local function index_score(key, id)
  local changes = index_changes[key]
  if changes and changes[id] ~= nil then return changes[id] end
  return redis.call('ZSCORE', key, id)
end

-- Every server looks at each topic at least once a second (`FALLBACK_SECONDS` in sweeper.py), and finds what is due next:
-- later instants than this need no word.
local SOON = 2000 -- ms

-- Tells every server that listens to the topic. `due` carries only the earliest instant of a call, as a delay in ms:
-- servers need no clock that agrees with the store's.
local function herald(message)
  heralds[message] = true
end

local function herald_due(at)
  if not earliest or at < earliest then earliest = at end
end

local function commit_index(key, changes)
  local add, remove, adding, removing = {}, {}, 0, 0
  for id, score in pairs(changes) do
    if score then
      add[adding + 1], add[adding + 2] = score, id
      adding = adding + 2
    else
      removing = removing + 1
      remove[removing] = id
    end
  end
  if removing > 0 then redis.call('ZREM', key, unpack(remove)) end
  if adding > 0 then redis.call('ZADD', key, unpack(add)) end
end

local function commit_indexes()
  for i = 1, #at_commit do at_commit[i]() end
  for key, changes in pairs(index_changes) do commit_index(key, changes) end
  for name, value in pairs(counters) do redis.call('HSET', keys.topic, name, int(value)) end
  if earliest and earliest - now < SOON then herald('due ' .. int(math.max(0, earliest - now))) end
  local lines = {}
  for message in pairs(heralds) do lines[#lines + 1] = message end
  if #lines > 0 then redis.call('SPUBLISH', base .. 'wake', table.concat(lines, '\n')) end
end
