"""Records that jobs finished, many at once: greenlets hand in ends, one greenlet writes them.

Only the plain course of events is recorded here. :func:`is_plain` says what that is; everything
else goes through RQ's own methods, job by job.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gevent.event import AsyncResult, Event
from rq.job import Job, JobStatus, Retry
from rq.results import Result
from rq.utils import now

from . import keys
from .pool import Pool
from .resilient_worker import UNREACHABLE
from .scripts import BATCH, FINISH
from .taken import Finished, Started


def is_plain(job: Job, return_value: Any, result_ttl: int) -> bool:
    """Return whether the end of a job may be recorded together with others.

    Callbacks, repeats, rate limits, webhooks, dependencies, a result that is thrown away, a
    returned ``Retry`` and custom job classes take RQ's way, one by one.
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


class Recorder:
    """Group commit: while one batch is being written, the next one gathers."""

    def __init__(self, worker: Pool) -> None:
        self.worker = worker
        # A connection of its own: taking one from the pool checks its socket each time.
        self._script = worker.connection.client().register_script(FINISH)
        self._waiting: list[tuple[Finished, AsyncResult[bool]]] = []
        self._wake = Event()

    def record(self, finished: Finished) -> bool:
        """Record a plain job together with others; return whether that was possible.

        If not, its end has to be recorded by RQ's own code.
        """
        done: AsyncResult[bool] = AsyncResult()
        self._waiting.append((finished, done))
        self._wake.set()
        return bool(done.get())

    def run(self) -> None:
        """Write what is handed in, for ever."""
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                left = self._write([finished for finished, _ in batch])
                for finished, done in batch:
                    done.set(finished.started.execution.id not in left)

    def _write(self, batch: list[Finished]) -> set[str]:
        """Record a batch, however long Redis takes to come back: the jobs are done.

        Returns the ids of the executions that were not recorded.
        """
        worker = self.worker
        while True:
            try:
                return {started.execution.id for started in self.finish(batch)}
            except UNREACHABLE as error:
                worker.log.error(
                    "Worker %s: %d finished jobs are waiting for Redis: %s",
                    worker.name,
                    len(batch),
                    error,
                )
                worker.wait_for_redis()
            except Exception:
                worker.log.exception(
                    "Worker %s: batch write failed; recording %d jobs one at a time",
                    worker.name,
                    len(batch),
                )
                return {finished.started.execution.id for finished in batch}

    def finish(self, batch: Sequence[Finished]) -> list[Started]:
        """Record that plain jobs finished; return those that got dependents meanwhile.

        :raises redis.exceptions.RedisError: Redis did not answer as it should; some or all of them
            may be recorded, which a second call does not mind.
        """
        worker = self.worker
        args: list[Any] = [
            worker.name,
            JobStatus.FINISHED.value,
            int(now().timestamp()),
            Result.Type.SUCCESSFUL.value,
        ]
        named = [worker.key, worker.executions_key]
        queues: dict[str, int] = {}
        for finished in batch:
            job = finished.started.job
            named += keys.of_job(job, finished.started.execution)
            args += self._fields(finished, queues.setdefault(job.origin, len(queues)))
        for name in queues:
            named += keys.of_queue(name)
        left = self._script(keys=named, args=args)
        return [batch[number - 1].started for number in left]

    @staticmethod
    def _fields(finished: Finished, queue: int) -> tuple[Any, ...]:
        job, execution = finished.started.job, finished.started.execution
        # For the type checker.
        assert job.started_at is not None  # nosec B101
        assert job.ended_at is not None  # nosec B101
        return (
            job.id,
            execution.id,
            queue,
            _utcformat(job.started_at),
            _utcformat(job.ended_at),
            execution.created_at.timestamp(),
            job.ended_at.timestamp(),
            finished.result_ttl,
            encode_result(job, finished.return_value),
        )


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
