-- Charges buckets all or nothing, by this server's clock.
-- KEYS: a bucket each. ARGV: capacity in units, units a millisecond, cost in units, for each; a negative cost gives back.
-- Answers 1 or 0 for admitted, then the level of each.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local levels, admitted = {}, 1
for at, key in ipairs(KEYS) do
    local full, rate, cost = tonumber(ARGV[3 * at - 2]), tonumber(ARGV[3 * at - 1]), tonumber(ARGV[3 * at])
    local kept = redis.call('HMGET', key, 'level', 'at')
    local level, since = tonumber(kept[1]) or full, tonumber(kept[2]) or now
    level = math.min(full, level + math.max(0, now - since) * rate)
    if cost > level then admitted = 0 end
    levels[at] = level
end
for at, key in ipairs(KEYS) do
    local full, rate, cost = tonumber(ARGV[3 * at - 2]), tonumber(ARGV[3 * at - 1]), tonumber(ARGV[3 * at])
    if admitted == 1 then levels[at] = math.min(full, levels[at] - cost) end
    redis.call('HSET', key, 'level', string.format('%.0f', levels[at]), 'at', string.format('%.0f', now))
    redis.call('PEXPIRE', key, string.format('%.0f', math.ceil((full - levels[at]) / rate) + 1000))
end
table.insert(levels, 1, admitted)
return levels
