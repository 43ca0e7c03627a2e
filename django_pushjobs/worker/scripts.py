"""Lua scripts that take jobs and record their end: Redis runs each as a whole, or not at all."""

#: Jobs that one call handles at most: Redis serves nobody else meanwhile, and while it works on one
#: batch, we work on another.
BATCH = 64

#: Defines iso8601(seconds, microseconds): a time since 1970 as RQ writes it. Redis has no calendar.
CALENDAR = """
local function iso8601(seconds, microseconds)
    local days, year, length = math.floor(seconds / 86400), 1970, 365
    while days >= length do
        days, year = days - length, year + 1
        local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
        length = leap and 366 or 365
    end
    local months, month = {31, length - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}, 1
    while days >= months[month] do
        days, month = days - months[month], month + 1
    end
    return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, days + 1,
        math.floor(seconds / 3600) % 24, math.floor(seconds / 60) % 60, seconds % 60, microseconds)
end
"""

#: Take up to ARGV[1] jobs off the queues KEYS[2..], up to ARGV[2] of one queue in its turn, and
#: register them as started by the worker whose hash is KEYS[1]; it runs up to ARGV[3] jobs at
#: once. If that is 0, the worker must be known to RQ and must be running nothing. Returns {index of
#: the queue, execution id, job id, {field, value, ...}} for each job; nil if the workers are
#: suspended; 0 if this one is running something and must not. Ids whose job is gone are dropped, as
#: RQ does. Times are those of Redis' clock: this may run long after it was sent. See
#: rq.executions.prepare_execution and BaseWorker.prepare_job_execution for what is written.
POP = (
    CALENDAR
    + """
local limit, stride, concurrency = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local worker, prefix, job_prefix = ARGV[4], ARGV[5], ARGV[6]
local interval, busy, started = tonumber(ARGV[7]), ARGV[8], ARGV[9]
local executions_key = KEYS[1] .. ':executions'
local running = redis.call('SCARD', executions_key)
if concurrency > 0 then
    limit = math.min(limit, concurrency - running)
elseif running > 0 or redis.call('EXISTS', KEYS[1]) == 0 then
    return 0
end
if redis.call('EXISTS', prefix .. ':suspended') == 1 then return false end
local time = redis.call('TIME')
local clock, stamp = tonumber(time[1]), string.format('%s.%06d', time[1], time[2])
local iso = iso8601(clock, tonumber(time[2]))
local taken, composites, scores, longest = {}, {}, {}, 0

local function start(index, id)
    local job_key = job_prefix .. id
    local fields = redis.call('HGETALL', job_key)
    local has_data, timeout, origin, expires = false, 0, '', false
    for i = 1, #fields, 2 do
        local name = fields[i]
        if name == 'data' then has_data = true
        elseif name == 'timeout' then timeout = tonumber(fields[i + 1]) or 0
        elseif name == 'origin' then origin = fields[i + 1]
        elseif (name == 'ttl' or name == 'worker_name' or name == 'ended_at')
            and fields[i + 1] ~= '' then expires = true end
    end
    if not has_data then return 0 end
    local ttl = interval + 60
    if timeout > 0 then ttl = math.floor(math.min(timeout, interval)) + 60 end
    if ttl > longest then longest = ttl end
    local execution = ARGV[10 + #taken]
    local composite = id .. ':' .. execution
    local key = prefix .. ':execution:' .. composite
    redis.call('HSET', key, 'id', execution, 'job_id', id, 'created_at', stamp,
        'last_heartbeat', stamp, 'worker_name', worker)
    redis.call('EXPIRE', key, ttl)
    key = prefix .. ':executions:' .. id
    redis.call('ZADD', key, clock + ttl + 60, execution)
    redis.call('EXPIRE', key, ttl + 60)
    redis.call('HSET', job_key, 'last_heartbeat', iso, 'status', started,
        'started_at', iso, 'worker_name', worker)
    -- It had a time to live, or was run before and put back on the queue.
    if expires then redis.call('PERSIST', job_key) end
    local wip = prefix .. ':wip:' .. origin
    scores[wip] = scores[wip] or {}
    table.insert(scores[wip], clock + ttl)
    table.insert(scores[wip], composite)
    composites[#composites + 1] = composite
    taken[#taken + 1] = {index - 2, execution, id, fields}
    return 1
end

local function turn(index)
    local left = stride
    while left > 0 and #taken < limit do
        local ids = redis.call('LPOP', KEYS[index], math.min(left, limit - #taken))
        if not ids then return end
        for _, id in ipairs(ids) do left = left - start(index, id) end
    end
end

local before
repeat
    before = #taken
    for index = 2, #KEYS do turn(index) end
until #taken == before or #taken >= limit
for wip, entries in pairs(scores) do redis.call('ZADD', wip, unpack(entries)) end
if #taken > 0 then
    redis.call('SADD', executions_key, unpack(composites))
    redis.call('EXPIRE', executions_key, longest + 60)
    redis.call('HSET', KEYS[1], 'state', busy, 'last_heartbeat', iso)
    redis.call('EXPIRE', KEYS[1], longest)
end
return taken
"""
)

#: Record jobs that finished; ARGV from 6 on holds ``width`` values for each.
#: Returns the numbers, from 1, of jobs that got dependents meanwhile, or that were deleted: they
#: are left as they were. It may be called again with what it has recorded, in case its answer was
#: lost. See BaseWorker.handle_job_success for what is written.
FINISH = """
local worker, prefix, finished = ARGV[1], ARGV[2], ARGV[3]
local clock, success = tonumber(ARGV[4]), ARGV[5]
local left, count, seconds = {}, 0, 0
local executions, composites, removed, scores = {}, {}, {}, {}
local width = 9
-- One check of all jobs together saves one of each: hardly any has dependents, or a second
-- execution beside ours.
local dependents_keys, executions_keys, execution_keys = {}, {}, {}
for first = 6, #ARGV, width do
    table.insert(dependents_keys, prefix .. ':job:' .. ARGV[first] .. ':dependents')
    table.insert(executions_keys, prefix .. ':executions:' .. ARGV[first])
    table.insert(execution_keys,
        prefix .. ':execution:' .. ARGV[first] .. ':' .. ARGV[first + 1])
end
local fresh = redis.call('EXISTS', unpack(execution_keys)) == #execution_keys
local dependents = redis.call('EXISTS', unpack(dependents_keys))
local alone = #redis.call('ZUNION', #executions_keys, unpack(executions_keys)) <= #executions_keys
for first = 6, #ARGV, width do
    local id, execution, origin = ARGV[first], ARGV[first + 1], ARGV[first + 2]
    local started_iso, ended_iso = ARGV[first + 3], ARGV[first + 4]
    local created, ended = ARGV[first + 5], ARGV[first + 6]
    local ttl, value = tonumber(ARGV[first + 7]), ARGV[first + 8]
    local job_key = prefix .. ':job:' .. id
    if dependents > 0 and redis.call('EXISTS', job_key .. ':dependents') == 1 then
        left[#left + 1] = (first - 6) / width + 1
    elseif not fresh and redis.call('HGET', job_key, 'ended_at') == ended_iso then
        -- Recorded already.
    elseif redis.call('HSET', job_key, 'status', finished, 'started_at', started_iso, 'ended_at',
            ended_iso, 'last_heartbeat', ended_iso, 'worker_name', worker) == 5 then
        redis.call('DEL', job_key)
        left[#left + 1] = (first - 6) / width + 1
    else
        local composite = id .. ':' .. execution
        local results = prefix .. ':results:' .. id
        local entry = {'type', success, 'worker_name', worker, 'execution_id', execution,
            'execution_started_at', created, 'execution_ended_at', ended}
        if value ~= '' then
            table.insert(entry, 5, 'return_value')
            table.insert(entry, 6, value)
        end
        redis.call('XADD', results, 'MAXLEN', '~', 10, '*', unpack(entry))
        local score = '+inf'
        if ttl > 0 then
            redis.call('EXPIRE', results, ttl)
            redis.call('EXPIRE', job_key, ttl)
            score = clock + ttl
        else
            redis.call('PERSIST', results)
        end
        local registry = prefix .. ':finished:' .. origin
        scores[registry] = scores[registry] or {}
        table.insert(scores[registry], score)
        table.insert(scores[registry], id)
        local wip = prefix .. ':wip:' .. origin
        removed[wip] = removed[wip] or {}
        table.insert(removed[wip], composite)
        if alone then
            executions[#executions + 1] = prefix .. ':executions:' .. id
        else
            redis.call('ZREM', prefix .. ':executions:' .. id, execution)
        end
        executions[#executions + 1] = prefix .. ':execution:' .. composite
        composites[#composites + 1] = composite
        count = count + 1
        seconds = seconds + (tonumber(ended) - tonumber(created))
    end
end
if count > 0 then
    for registry, entries in pairs(scores) do redis.call('ZADD', registry, unpack(entries)) end
    for wip, members in pairs(removed) do redis.call('ZREM', wip, unpack(members)) end
    redis.call('DEL', unpack(executions))
    redis.call('SREM', KEYS[1] .. ':executions', unpack(composites))
    redis.call('HINCRBY', KEYS[1], 'successful_job_count', count)
    redis.call('HINCRBYFLOAT', KEYS[1], 'total_working_time', string.format('%.6f', seconds))
end
return left
"""
