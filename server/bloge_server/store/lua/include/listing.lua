--- @include start
-- The listing of a namespace's executions: for each day on which some were started (days since 1970) a list of ids by
-- start time, and beside it what to choose them by. It follows the records and may lag behind them.

-- Keys: days
local keys = { days = KEYS[1] }
local DAY_MS = 86400000

local function day_of(start_ms)
  return int(math.floor(start_ms / DAY_MS))
end

-- Returns the key of a day's list, and the key of what its entries are about.
local function list_keys(day)
  local list = keys.days .. ':' .. day
  return list, list .. ':about'
end
