-- What counts as progress between two lost leases.

-- Keeps progress details. Those of an execution are the length of its journal, and only growth counts.
local function note_progress(record, details)
  if is_execution(record.policy) and get(record, 'progress') == details then return end
  put(record, 'progress', details)
  set(record, 'lease_loss_count', '0')
end
