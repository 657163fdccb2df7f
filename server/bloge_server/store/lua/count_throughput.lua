#!lua flags=allow-oom
-- Adds to what happens in a topic at the moment: a ring of slots, each so many seconds long.
-- Transition: none
-- Keys: ready, leases, retry, deadlines, dead, finished, topic
-- Arguments: now (ms; 0: store clock), length of a slot (ms), slots, then for each number: how much it grew
-- Returns: 1
-- Statuses: none
-- Atomic: the whole call
--- @include topic
local length, slots = tonumber(ARGV[2]), tonumber(ARGV[3])
local ring = base .. 'throughput'
local number = math.floor(now / length)
local place = int(number % slots)
local words = {}
local before = redis.call('HGET', ring, place)
if before and string.match(before, '^%d+') == int(number) then
  for word in string.gmatch(before, '%d+') do words[#words + 1] = tonumber(word) end
end
words[1] = number
for i = 4, #ARGV do words[i - 2] = (words[i - 2] or 0) + tonumber(ARGV[i]) end
for i = 1, #words do words[i] = int(words[i]) end
redis.call('HSET', ring, place, table.concat(words, ' '))
redis.call('PEXPIRE', ring, int(2 * length * slots))
return 1
