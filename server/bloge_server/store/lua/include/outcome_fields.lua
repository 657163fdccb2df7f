-- What an outcome is made of, in the order of `outcome` in codec.py.
local OUTCOME_FIELDS = { 'policy', 'state', 'spec', 'output', 'business_error', 'history', 'dead_reason' }

local function read_outcome(id)
  local values = redis.call('HMGET', item_key .. id, unpack(OUTCOME_FIELDS))
  for i = 1, #OUTCOME_FIELDS do values[i] = values[i] or '' end
  table.insert(values, 1, id)
  return values
end
