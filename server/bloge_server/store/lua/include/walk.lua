-- Walks an index page by page, by place: the score and the member behind which to go on. Members of equal score stand in the
-- order of their names, so a place is found by rank in a few steps, whether or not its member still stands there.

local WALK_STEP = 200 -- members read at once

-- Returns whether a member stands before another of equal score. Lua's own order of texts depends on the machine's language.
local function stands_before(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then return a < b end
  end
  return #one < #other
end

-- Returns how many members of an index stand before a place; with `through`, those at it too.
local function rank_of(index, score, member, through)
  local low = redis.call('ZCOUNT', index, '-inf', '(' .. score)
  local high = redis.call('ZCOUNT', index, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call('ZRANGE', index, middle, middle)[1]
    if stands_before(found, member) or (through and found == member) then low = middle + 1 else high = middle end
  end
  return low
end

-- Calls `visit(member, score)` for members behind a place (empty: from the beginning), at most `most` of them, until it
-- returns true. Returns the place of the last one that was visited, whether there may be more behind it, and how many were
-- visited.
local function walk(index, score, member, most, backwards, visit)
  local size = redis.call('ZCARD', index)
  local before = 0
  if score ~= '' then before = rank_of(index, score, member, not backwards) end
  if backwards and score ~= '' then before = size - before end
  local visited = 0
  while visited < most do
    local step = math.min(WALK_STEP, most - visited)
    local found = redis.call(backwards and 'ZREVRANGE' or 'ZRANGE', index, before, before + step - 1, 'WITHSCORES')
    for i = 1, #found, 2 do
      member, score, visited = found[i], found[i + 1], visited + 1
      if visit(member, score) then return score, member, true, visited end
    end
    if #found < 2 * step then return score, member, false, visited end
    before = before + step
  end
  return score, member, true, visited
end
