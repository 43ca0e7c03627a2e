"""Takes jobs off their queues, many at once, and registers them as started.

RQ makes some 60 round trips for one job that does nothing. The same records can be written in two
calls for up to :data:`.BATCH` jobs: this one, and the one of :mod:`.recorder` once they finished.
Each is a Lua script, so Redis runs all of it or nothing: whenever a process dies, a job is either
on its queue or in the registry of started jobs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.utils import as_text, now, parse_composite_key
from rq.worker import WorkerStatus

from ..conf import conf
from . import keys
from .allowed_jobs import problem_with
from .pool import Pool
from .scripts import BATCH, POP
from .taken import Started, Taken, Unfit

_STARTED = JobStatus.STARTED.value.encode()

#: The ways in which RQ's queue hands out jobs, none of which is used here.
DEQUEUING = ("dequeue_any", "lpop", "lmove", "pop_job_id", "_fetch_dequeued_job")


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


class Dequeuer:
    """Takes jobs off queues for one worker."""

    def __init__(self, worker: Pool) -> None:
        self.worker = worker
        # A connection of its own: taking one from the pool checks its socket each time.
        self._script = worker.connection.client().register_script(POP)
        #: What jobs may call, by queue.
        self._allowed = {queue.name: conf().allowed_jobs(queue.name) for queue in worker.queues}
        #: Execution ids that Redis may use in answers that have not arrived yet.
        self.awaited: set[str] = set()

    @property
    def script_digest(self) -> str:
        """The name under which Redis knows the script."""
        return str(self._script.sha)

    def prepare(
        self,
        queues: Sequence[Queue],
        limit: int,
        *,
        in_turn: bool = False,
        when_idle: bool = False,
    ) -> PopCall:
        """Return the call that takes up to ``limit`` jobs off ``queues``, the first queue first.

        :param in_turn: take one job of each queue, then the next of each, and so on.
        :param when_idle: take none unless RQ knows this worker, and it is running nothing.
        """
        return PopCall(self, queues, min(limit, BATCH), in_turn=in_turn, when_idle=when_idle)

    def pop(self, call: PopCall) -> list[Taken] | None:
        """Take jobs off their queues.

        Does not wait: an empty list means that the queues are empty, or that the worker is running
        as many jobs as it may.

        :returns: None if the workers are suspended.
        """
        with call:
            return call.read(self._script(keys=call.keys, args=call.args))

    def restore(
        self, queue: Queue, execution_id: str, job_id: str, fields: list[bytes], at: datetime
    ) -> Taken:
        """Make a job of its record: ``fields`` are names and values in turn."""
        worker = self.worker
        execution = Execution(execution_id, job_id, worker.connection, worker.name)
        execution.created_at = execution.last_heartbeat = at
        try:
            job = worker.job_class(job_id, connection=worker.connection)
            # Each queue has its own in RQ_QUEUES; RQ's workers know only one.
            job.serializer = queue.serializer
            self._fill(job, dict(zip(fields[::2], fields[1::2], strict=True)))
            if problem := problem_with(job, self._allowed.get(queue.name)):
                return Unfit(job_id, queue, execution, problem)
        except Exception as error:
            return Unfit(job_id, queue, execution, f"The job cannot be read: {error!r}")
        execution._job = job
        job.worker_name = worker.name
        job.started_at = job.last_heartbeat = at
        job._status = JobStatus.STARTED
        return Started(job, queue, execution)

    def strays(self) -> list[Taken]:
        """Return the jobs that Redis has registered as ours, but that are not running here.

        The answer to the call that took them off their queues was lost with its connection.
        """
        worker = self.worker
        # Jobs that end while Redis answers are not strays, though they are not running any more.
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
                # An execution that began and ended meanwhile has no record any more.
                pipeline.exists(keys.EXECUTION + composite)
                record, is_open = pipeline.execute()
            ours = is_open and as_text(record.get(b"worker_name", b"")) == worker.name
            queue = self._queue_of(as_text(record.get(b"origin", b"")))
            if ours and queue and record.get(b"status") == _STARTED and b"data" in record:
                fields: list[Any] = [part for item in record.items() for part in item]
                found.append(self.restore(queue, execution_id, job_id, fields, now()))
            else:
                worker.connection.srem(worker.executions_key, composite)
        return found

    def _queue_of(self, name: str) -> Queue | None:
        """Return the queue of that name, or None if jobs are not taken off it here.

        Then nobody knows what they may call, or with which serializer to read them.
        """
        return next((queue for queue in self.worker.queues if queue.name == name), None)

    @staticmethod
    def _fill(job: Job, fields: dict[bytes, bytes]) -> None:
        """Let the job read its record, except for two dates, for which RQ is slow."""
        if type(job) is not Job:
            job.restore(fields)
            return
        created_at, enqueued_at = fields.pop(b"created_at", b""), fields.pop(b"enqueued_at", b"")
        job.restore(fields)
        if created_at:
            job.created_at = datetime.fromisoformat(created_at.decode())
        if enqueued_at:
            job.enqueued_at = datetime.fromisoformat(enqueued_at.decode())


class PopCall:
    """One call of the script; a context in which its answer is awaited."""

    __slots__ = ("_dequeuer", "_ids", "args", "keys", "limit", "queues")

    def __init__(
        self,
        dequeuer: Dequeuer,
        queues: Sequence[Queue],
        limit: int,
        *,
        in_turn: bool,
        when_idle: bool,
    ) -> None:
        worker = dequeuer.worker
        self._dequeuer = dequeuer
        self._ids = _execution_ids(limit)
        self.queues = tuple(queues)
        self.limit = limit
        self.keys = [
            worker.key,
            worker.executions_key,
            keys.WORKERS_SUSPENDED,
            *(queue.key for queue in queues),
        ]
        self.args = [
            limit,
            1 if in_turn else limit,
            0 if when_idle else worker.concurrency,
            worker.name,
            worker.job_class.redis_job_namespace_prefix,
            keys.WIP,
            keys.EXECUTION,
            keys.EXECUTIONS,
            worker.job_monitoring_interval,
            WorkerStatus.BUSY.value,
            JobStatus.STARTED.value,
            *self._ids,
        ]

    def __enter__(self) -> None:
        self._dequeuer.awaited.update(self._ids)

    def __exit__(self, *error: object) -> None:
        # By now the jobs are running, or the answer is lost.
        self._dequeuer.awaited.difference_update(self._ids)

    @property
    def command(self) -> tuple[Any, ...]:
        """What to send to Redis."""
        return ("EVALSHA", self._dequeuer.script_digest, len(self.keys), *self.keys, *self.args)

    def read(self, answer: list[Any] | int | None) -> list[Taken] | None:
        """Make jobs of an answer; None, which says that the workers are suspended, stays."""
        if answer is None:
            return None
        if isinstance(answer, int):
            return []  # the worker is not idle
        at = now()
        return [
            self._dequeuer.restore(
                self.queues[index], execution_id.decode(), job_id.decode(), fields, at
            )
            for index, execution_id, job_id, fields in answer
        ]


def _execution_ids(number: int) -> list[str]:
    """Return ids as long as RQ's, which makes a UUID for each; together they cost one call."""
    digits = os.urandom(16 * number).hex()
    return [digits[i : i + 32] for i in range(0, len(digits), 32)]
