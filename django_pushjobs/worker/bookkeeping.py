"""RQ's own keys, written for many jobs at once.

RQ makes some 60 round-trip commands for one job that does nothing. The same records can be
written in two calls for up to :data:`BATCH` jobs: one that takes jobs off their queues and
registers them as started, one that records that they finished. Each is a Lua script, so Redis
does all of it or nothing: a job is on its queue or in the registry of started jobs, whenever a
process dies.

Only the plain course of events is written here. :func:`is_plain` says what that is; everything
else goes through RQ's own methods, job by job.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rq.defaults import RQ_KEY_PREFIX
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.results import Result
from rq.utils import now, utcformat
from rq.worker import WorkerStatus

if TYPE_CHECKING:
    from .gevent_worker import GeventWorker

#: Jobs that one script handles at most: Redis serves nobody else meanwhile.
BATCH = 64

#: Take up to ARGV[1] jobs off the queues KEYS[2..], in that order, and register them as started
#: by the worker whose hash is KEYS[1]. Returns {index of the queue, execution id, job id, {field,
#: value, ...}} for each. Ids whose job is gone are dropped, as RQ does.
#: See rq.executions.prepare_execution and BaseWorker.prepare_job_execution for what is written.
POP = """
local limit = tonumber(ARGV[1])
local worker, prefix = ARGV[2], ARGV[3]
local clock, stamp, interval = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local iso, busy, started = ARGV[7], ARGV[8], ARGV[9]
local executions_key = KEYS[1] .. ':executions'
local taken, composites, longest = {}, {}, 0
for index = 2, #KEYS do
    local wip = prefix .. ':wip:' .. string.sub(KEYS[index], #prefix + 8)
    local scores = {}
    while #taken < limit do
        local ids = redis.call('LPOP', KEYS[index], limit - #taken)
        if not ids then break end
        for _, id in ipairs(ids) do
            local job_key = prefix .. ':job:' .. id
            local fields = redis.call('HGETALL', job_key)
            local has_data, timeout, has_ttl = false, 0, false
            for i = 1, #fields, 2 do
                if fields[i] == 'data' then has_data = true
                elseif fields[i] == 'timeout' then timeout = tonumber(fields[i + 1]) or 0
                elseif fields[i] == 'ttl' then has_ttl = true end
            end
            if has_data then
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
                if has_ttl then redis.call('PERSIST', job_key) end
                scores[#scores + 1] = clock + ttl
                scores[#scores + 1] = composite
                composites[#composites + 1] = composite
                taken[#taken + 1] = {index - 2, execution, id, fields}
            end
        end
    end
    if #scores > 0 then redis.call('ZADD', wip, unpack(scores)) end
end
if #taken > 0 then
    redis.call('SADD', executions_key, unpack(composites))
    redis.call('EXPIRE', executions_key, longest + 60)
    redis.call('HSET', KEYS[1], 'state', busy, 'last_heartbeat', iso)
    redis.call('EXPIRE', KEYS[1], longest)
end
return taken
"""

#: Record jobs that finished; ARGV from 6 on holds :data:`FIELDS` values for each.
#: Returns the numbers, from 1, of jobs that got dependents meanwhile: they are left as they were.
#: See BaseWorker.handle_job_success for what is written.
FINISH = """
local worker, prefix, finished = ARGV[1], ARGV[2], ARGV[3]
local clock, success = tonumber(ARGV[4]), ARGV[5]
local left, count, seconds = {}, 0, 0
local executions, composites, removed, scores = {}, {}, {}, {}
local width = 9
-- One look at all jobs together saves one at each: hardly any has dependents, or a second
-- execution beside ours.
local dependents_keys, executions_keys = {}, {}
for first = 6, #ARGV, width do
    table.insert(dependents_keys, prefix .. ':job:' .. ARGV[first] .. ':dependents')
    table.insert(executions_keys, prefix .. ':executions:' .. ARGV[first])
end
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
    else
        local composite = id .. ':' .. execution
        redis.call('HSET', job_key, 'status', finished, 'started_at', started_iso,
            'ended_at', ended_iso, 'last_heartbeat', ended_iso, 'worker_name', worker)
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


@dataclass(frozen=True, slots=True)
class Started:
    """A job that was taken off its queue and registered as started by this worker."""

    job: Job
    queue: Queue
    execution: Execution


@dataclass(frozen=True, slots=True)
class Finished:
    """A plain job that returned; its end stands in ``job.ended_at``."""

    started: Started
    result_ttl: int
    return_value: Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A job that was taken off its queue, but whose record makes no sense."""

    job_id: str
    queue: Queue
    execution: Execution
    error: Exception


def is_plain(job: Job, return_value: Any, result_ttl: int) -> bool:
    """Return whether the end of a job may be recorded together with others.

    Callbacks, repeats, rate limits, webhooks, dependencies, a result that is thrown away, a
    returned ``Retry`` and job classes of one's own take RQ's way, one by one.
    """
    return (
        type(job) is Job
        and result_ttl != 0
        and job._success_callback_name is None
        and not job.repeats_left
        and not job.has_rate_limit
        and not job.webhooks
        and not job._dependency_ids
        and type(return_value).__name__ != "Retry"
    )


class Bookkeeping:
    """What one worker writes into Redis about its jobs."""

    def __init__(self, worker: GeventWorker) -> None:
        self.worker = worker
        self._pop = worker.connection.register_script(POP)
        self._finish = worker.connection.register_script(FINISH)

    def pop(self, queues: Sequence[Queue], limit: int) -> list[Started | Unreadable]:
        """Take up to ``limit`` jobs off ``queues``, the first ones first, as started.

        Does not wait: an empty list means that the queues are empty.
        """
        limit = min(limit, BATCH)
        at = now()
        taken = self._pop(
            keys=[self.worker.key, *(queue.key for queue in queues)],
            args=[
                limit,
                self.worker.name,
                RQ_KEY_PREFIX,
                int(at.timestamp()),
                at.timestamp(),
                self.worker.job_monitoring_interval,
                utcformat(at),
                WorkerStatus.BUSY.value,
                JobStatus.STARTED.value,
                *(uuid4().hex for _ in range(limit)),
            ],
        )
        return [
            self._restore(queues[index], execution_id.decode(), job_id.decode(), fields, at)
            for index, execution_id, job_id, fields in taken
        ]

    def _restore(
        self, queue: Queue, execution_id: str, job_id: str, fields: list[bytes], at: datetime
    ) -> Started | Unreadable:
        worker = self.worker
        execution = Execution(execution_id, job_id, worker.connection, worker.name)
        execution.created_at = execution.last_heartbeat = at
        try:
            job = worker.job_class(job_id, connection=worker.connection)
            # Each queue has its own in RQ_QUEUES; RQ's workers know but one.
            job.serializer = queue.serializer
            self._fill(job, dict(zip(fields[::2], fields[1::2], strict=True)))
        except Exception as error:
            return Unreadable(job_id, queue, execution, error)
        execution._job = job
        job.worker_name = worker.name
        job.started_at = job.last_heartbeat = at
        job._status = JobStatus.STARTED
        return Started(job, queue, execution)

    @staticmethod
    def _fill(job: Job, fields: dict[bytes, bytes]) -> None:
        """Let the job read its record, all but two dates, for which RQ is slow."""
        created_at, enqueued_at = fields.pop(b"created_at", b""), fields.pop(b"enqueued_at", b"")
        job.restore(fields)
        if created_at:
            job.created_at = datetime.fromisoformat(created_at.decode())
        if enqueued_at:
            job.enqueued_at = datetime.fromisoformat(enqueued_at.decode())

    def finish(self, batch: Sequence[Finished]) -> list[Started]:
        """Record that plain jobs finished; return those that got dependents meanwhile."""
        worker = self.worker
        args: list[Any] = [
            worker.name,
            RQ_KEY_PREFIX,
            JobStatus.FINISHED.value,
            int(now().timestamp()),
            Result.Type.SUCCESSFUL.value,
        ]
        for finished in batch:
            args += self._finish_fields(finished)
        left = self._finish(keys=[worker.key], args=args)
        return [batch[number - 1].started for number in left]

    @staticmethod
    def _finish_fields(finished: Finished) -> Iterator[Any]:
        job, execution = finished.started.job, finished.started.execution
        assert job.started_at is not None
        assert job.ended_at is not None
        yield job.id
        yield execution.id
        yield job.origin
        yield utcformat(job.started_at)
        yield utcformat(job.ended_at)
        yield execution.created_at.timestamp()
        yield job.ended_at.timestamp()
        yield finished.result_ttl
        yield encode_result(job, finished.return_value)

    def heartbeat(self, running: Sequence[Started]) -> None:
        """Tell RQ that the worker and all its running jobs are alive, in one round trip."""
        worker = self.worker
        at = now()
        places: dict[int, Job] = {}
        with worker.connection.pipeline(transaction=False) as pipeline:
            worker.heartbeat(worker.job_monitoring_interval + 60, pipeline=pipeline)
            for started in running:
                job, execution = started.job, started.execution
                worked = (at - job.started_at).total_seconds() if job.started_at else 0.0
                ttl = worker.get_heartbeat_ttl(job, working_time=worked)
                execution.heartbeat(job.started_job_registry, ttl, pipeline=pipeline)
                places[len(pipeline)] = job
                job.heartbeat(at, ttl, pipeline=pipeline)
            created = pipeline.execute()
            for place, job in places.items():
                if created[place] == 1:
                    # It was deleted meanwhile: leave no hash with nothing but a heartbeat in it.
                    pipeline.delete(job.key)
            if created[0] == 1:
                # The hash had expired, say while Redis was away: write it whole again.
                pipeline.hset(worker.key, mapping=worker.serialize())
                pipeline.expire(worker.key, worker.worker_ttl + 60)
            pipeline.execute()


def encode_result(job: Job, return_value: Any) -> str:
    """Return a result as RQ stores it, or "" for None. See rq.results.Result.serialize."""
    if return_value is None:
        return ""
    try:
        data = job.serializer.dumps(return_value)
    except Exception:
        data = job.serializer.dumps("Unserializable return value")
    return b64encode(data).decode()
