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

#: Take up to ARGV[1] jobs off the queues KEYS[4..], up to ARGV[2] of one queue in its turn, and
#: register them as started by the worker whose hash is KEYS[1], and whose executions are KEYS[2];
#: it runs up to ARGV[3] jobs at once. KEYS[3] says whether the workers are suspended. The keys of
#: jobs are known only once they are off their queues; ARGV[5..8] say how they begin. If ARGV[3] is
#: 0, the worker must be known to RQ and must be running nothing. Returns {index of
#: the queue, execution id, job id, {field, value, ...}} for each job; nil if the workers are
#: suspended; 0 if this one is running something and must not. Ids whose job is gone are dropped, as
#: RQ does. Times are those of Redis' clock: this may run long after it was sent. See
#: rq.executions.prepare_execution and BaseWorker.prepare_job_execution for what is written.
POP = (
    CALENDAR
    + """
local limit, stride, concurrency = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local worker, job_prefix, wip_prefix = ARGV[4], ARGV[5], ARGV[6]
local execution_prefix, executions_prefix = ARGV[7], ARGV[8]
local interval, busy, started = tonumber(ARGV[9]), ARGV[10], ARGV[11]
local running = redis.call('SCARD', KEYS[2])
if concurrency > 0 then
    limit = math.min(limit, concurrency - running)
elseif running > 0 or redis.call('EXISTS', KEYS[1]) == 0 then
    return 0
end
if redis.call('EXISTS', KEYS[3]) == 1 then return false end
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
    local execution = ARGV[12 + #taken]
    local composite = id .. ':' .. execution
    local key = execution_prefix .. composite
    redis.call('HSET', key, 'id', execution, 'job_id', id, 'created_at', stamp,
        'last_heartbeat', stamp, 'worker_name', worker)
    redis.call('EXPIRE', key, ttl)
    key = executions_prefix .. id
    redis.call('ZADD', key, clock + ttl + 60, execution)
    redis.call('EXPIRE', key, ttl + 60)
    redis.call('HSET', job_key, 'last_heartbeat', iso, 'status', started,
        'started_at', iso, 'worker_name', worker)
    -- It had a time to live, or was run before and put back on the queue.
    if expires then redis.call('PERSIST', job_key) end
    local wip = wip_prefix .. origin
    scores[wip] = scores[wip] or {}
    table.insert(scores[wip], clock + ttl)
    table.insert(scores[wip], composite)
    composites[#composites + 1] = composite
    taken[#taken + 1] = {index - 4, execution, id, fields}
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
    for index = 4, #KEYS do turn(index) end
until #taken == before or #taken >= limit
for wip, entries in pairs(scores) do redis.call('ZADD', wip, unpack(entries)) end
if #taken > 0 then
    redis.call('SADD', KEYS[2], unpack(composites))
    redis.call('EXPIRE', KEYS[2], longest + 60)
    redis.call('HSET', KEYS[1], 'state', busy, 'last_heartbeat', iso)
    redis.call('EXPIRE', KEYS[1], longest)
end
return taken
"""
)

#: Record jobs that finished, of the worker whose hash is KEYS[1], and whose executions are KEYS[2].
#: ARGV from 5 on holds ``width`` values for each job, and KEYS from 3 on five: its record, its
#: dependents, its results, its executions, and the one that finished. Behind those of all jobs
#: there are two keys for each of their queues: the jobs that finished, and those that are running.
#: Returns the numbers, from 1, of jobs that got dependents meanwhile, or that were deleted: they
#: are left as they were. It may be called again with what it has recorded, in case its answer was
#: lost. See BaseWorker.handle_job_success for what is written.
FINISH = """
local worker, finished, clock, success = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local left, count, seconds = {}, 0, 0
local executions, composites, removed, scores = {}, {}, {}, {}
local width = 9
local registries = 3 + (#ARGV - 4) / width * 5
-- One check of all jobs together saves one of each: hardly any has dependents, or a second
-- execution beside ours.
local dependents_keys, executions_keys, execution_keys = {}, {}, {}
for first = 3, registries - 1, 5 do
    table.insert(dependents_keys, KEYS[first + 1])
    table.insert(executions_keys, KEYS[first + 3])
    table.insert(execution_keys, KEYS[first + 4])
end
local fresh = redis.call('EXISTS', unpack(execution_keys)) == #execution_keys
local dependents = redis.call('EXISTS', unpack(dependents_keys))
local alone = #redis.call('ZUNION', #executions_keys, unpack(executions_keys)) <= #executions_keys
for number = 1, #executions_keys do
    local first, keys = 5 + (number - 1) * width, 3 + (number - 1) * 5
    local id, execution, queue = ARGV[first], ARGV[first + 1], tonumber(ARGV[first + 2])
    local started_iso, ended_iso = ARGV[first + 3], ARGV[first + 4]
    local created, ended = ARGV[first + 5], ARGV[first + 6]
    local ttl, value = tonumber(ARGV[first + 7]), ARGV[first + 8]
    local job_key = KEYS[keys]
    if dependents > 0 and redis.call('EXISTS', KEYS[keys + 1]) == 1 then
        left[#left + 1] = number
    elseif not fresh and redis.call('HGET', job_key, 'ended_at') == ended_iso then
        -- Recorded already.
    elseif redis.call('HSET', job_key, 'status', finished, 'started_at', started_iso, 'ended_at',
            ended_iso, 'last_heartbeat', ended_iso, 'worker_name', worker) == 5 then
        redis.call('DEL', job_key)
        left[#left + 1] = number
    else
        local composite = id .. ':' .. execution
        local results = KEYS[keys + 2]
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
        local registry, wip = KEYS[registries + queue * 2], KEYS[registries + queue * 2 + 1]
        scores[registry] = scores[registry] or {}
        table.insert(scores[registry], score)
        table.insert(scores[registry], id)
        removed[wip] = removed[wip] or {}
        table.insert(removed[wip], composite)
        if alone then
            executions[#executions + 1] = KEYS[keys + 3]
        else
            redis.call('ZREM', KEYS[keys + 3], execution)
        end
        executions[#executions + 1] = KEYS[keys + 4]
        composites[#composites + 1] = composite
        count = count + 1
        seconds = seconds + (tonumber(ended) - tonumber(created))
    end
end
if count > 0 then
    for registry, entries in pairs(scores) do redis.call('ZADD', registry, unpack(entries)) end
    for wip, members in pairs(removed) do redis.call('ZREM', wip, unpack(members)) end
    redis.call('DEL', unpack(executions))
    redis.call('SREM', KEYS[2], unpack(composites))
    redis.call('HINCRBY', KEYS[1], 'successful_job_count', count)
    redis.call('HINCRBYFLOAT', KEYS[1], 'total_working_time', string.format('%.6f', seconds))
end
return left
"""
