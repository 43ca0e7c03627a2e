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

import os
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rq.defaults import RQ_KEY_PREFIX
from rq.executions import Execution
from rq.job import Job, JobStatus, Retry
from rq.queue import Queue
from rq.results import Result
from rq.utils import as_text, now, parse_composite_key
from rq.worker import WorkerStatus

from .scripts import FINISH, POP

if TYPE_CHECKING:
    from .gevent_worker import GeventWorker

_STARTED = JobStatus.STARTED.value.encode()

#: Jobs that one script handles at most: Redis serves nobody else meanwhile, and while it is at one
#: batch, we are at another.
BATCH = 64

#: The ways in which RQ's queue gives jobs to workers, none of which is used here.
DEQUEUING = ("dequeue_any", "lpop", "lmove", "pop_job_id", "_fetch_dequeued_job")


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


#: What comes off a queue.
Taken = Started | Unreadable


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
        and not isinstance(return_value, Retry)
    )


def refuse_own_dequeuing(queue_class: type[Queue]) -> None:
    """
    :raises TypeError: the class has its own way to hand out jobs, which we would bypass.
    """
    for name in DEQUEUING:
        # Looked up without being bound, so that class methods compare.
        theirs = next(vars(base)[name] for base in queue_class.__mro__ if name in vars(base))
        if theirs is not vars(Queue)[name]:
            raise TypeError(
                "GeventWorker takes jobs off queues in batches and would never call "
                f"{queue_class.__name__}.{name}(): use RQ's own worker with this queue class"
            )


class Bookkeeping:
    """What one worker writes into Redis about its jobs."""

    def __init__(self, worker: GeventWorker) -> None:
        self.worker = worker
        # Connections of their own: taking one from the pool looks at its socket each time.
        self._pop = worker.connection.client().register_script(POP)
        self._finish = worker.connection.client().register_script(FINISH)
        #: Execution ids that Redis may use in answers that are not here yet.
        self.awaited: set[str] = set()

    @property
    def pop_digest(self) -> str:
        """The name under which Redis knows the script that takes jobs."""
        return str(self._pop.sha)

    def prepare(
        self,
        queues: Sequence[Queue],
        limit: int,
        *,
        in_turn: bool = False,
        when_idle: bool = False,
    ) -> Call:
        """Return the call that takes up to ``limit`` jobs off ``queues``, the first ones first.

        :param in_turn: take one job of each queue, then the next of each, and so on.
        :param when_idle: take none unless this worker is known, and runs nothing.
        """
        return Call(self, queues, min(limit, BATCH), in_turn=in_turn, when_idle=when_idle)

    def pop(self, call: Call) -> list[Taken] | None:
        """Take jobs off their queues, as started.

        Does not wait: an empty list means that the queues are empty, or that all slots are taken.

        :returns: None if the workers are suspended.
        """
        with call:
            return call.read(self._pop(keys=call.keys, args=call.args))

    def restore(
        self, queue: Queue, execution_id: str, job_id: str, fields: list[bytes], at: datetime
    ) -> Taken:
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

    def strays(self) -> list[Taken]:
        """Return the jobs that Redis has registered as ours, but that do not run here.

        The answer to a call that took them off their queues was lost with its connection.
        """
        worker = self.worker
        # Those that end while Redis answers are no strays, though they do not run any more.
        known = {*worker.running, *self.awaited}
        composites = map(as_text, worker.connection.smembers(worker.executions_key))
        known |= {*worker.running, *self.awaited}
        found: list[Taken] = []
        for composite in composites:
            job_id, execution_id = parse_composite_key(composite)
            if execution_id in known:
                continue
            with worker.connection.pipeline(transaction=False) as pipeline:
                pipeline.hgetall(worker.job_class.redis_job_namespace_prefix + job_id)
                # One that began and ended meanwhile has none any more.
                pipeline.exists(f"{RQ_KEY_PREFIX}:execution:{composite}")
                record, is_open = pipeline.execute()
            ours = is_open and as_text(record.get(b"worker_name", b"")) == worker.name
            if ours and record.get(b"status") == _STARTED and b"data" in record:
                queue = self._queue_of(as_text(record.get(b"origin", b"")))
                fields: list[Any] = [part for item in record.items() for part in item]
                found.append(self.restore(queue, execution_id, job_id, fields, now()))
            else:
                worker.connection.srem(worker.executions_key, composite)
        return found

    def _queue_of(self, name: str) -> Queue:
        for queue in self.worker.queues:
            if queue.name == name:
                return queue
        worker = self.worker
        return worker.queue_class(
            name,
            connection=worker.connection,
            job_class=worker.job_class,
            serializer=worker.serializer,
        )

    @staticmethod
    def _fill(job: Job, fields: dict[bytes, bytes]) -> None:
        """Let the job read its record, all but two dates, for which RQ is slow."""
        if type(job) is not Job:
            job.restore(fields)
            return
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
        yield _utcformat(job.started_at)
        yield _utcformat(job.ended_at)
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


class Call:
    """One call of the script that takes jobs; a context in which its answer is waited for."""

    __slots__ = ("_books", "_ids", "args", "keys", "limit", "queues")

    def __init__(
        self,
        books: Bookkeeping,
        queues: Sequence[Queue],
        limit: int,
        *,
        in_turn: bool,
        when_idle: bool,
    ) -> None:
        worker = books.worker
        self._books = books
        self._ids = _execution_ids(limit)
        self.queues = tuple(queues)
        self.limit = limit
        self.keys = [worker.key, *(queue.key for queue in queues)]
        self.args = [
            limit,
            1 if in_turn else limit,
            0 if when_idle else worker.concurrency,
            worker.name,
            RQ_KEY_PREFIX,
            worker.job_class.redis_job_namespace_prefix,
            worker.job_monitoring_interval,
            WorkerStatus.BUSY.value,
            JobStatus.STARTED.value,
            *self._ids,
        ]

    def __enter__(self) -> None:
        self._books.awaited.update(self._ids)

    def __exit__(self, *error: object) -> None:
        # By now the jobs run, or the answer is lost.
        self._books.awaited.difference_update(self._ids)

    @property
    def command(self) -> tuple[Any, ...]:
        """What to send to Redis."""
        return ("EVALSHA", self._books.pop_digest, len(self.keys), *self.keys, *self.args)

    def read(self, answer: list[Any] | int | None) -> list[Taken] | None:
        """Make jobs of an answer; None, which says that the workers are suspended, stays."""
        if answer is None:
            return None
        if isinstance(answer, int):
            return []  # the worker is not idle
        at = now()
        return [
            self._books.restore(
                self.queues[index], execution_id.decode(), job_id.decode(), fields, at
            )
            for index, execution_id, job_id, fields in answer
        ]


def _execution_ids(number: int) -> list[str]:
    """Return ids of the length of RQ's, which draws each as a UUID; together they cost one call."""
    digits = os.urandom(16 * number).hex()
    return [digits[i : i + 32] for i in range(0, len(digits), 32)]


def _utcformat(moment: datetime) -> str:
    """Return what :func:`rq.utils.utcformat` does, in a third of the time."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def encode_result(job: Job, return_value: Any) -> str:
    """Return a result as RQ stores it, or "" for None. See rq.results.Result.serialize."""
    if return_value is None:
        return ""
    try:
        data = job.serializer.dumps(return_value)
    except Exception:
        data = job.serializer.dumps("Unserializable return value")
    return b64encode(data).decode()
