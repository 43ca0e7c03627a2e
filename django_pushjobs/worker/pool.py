"""What the parts of the worker may ask of it.

The worker makes its parts (intake, housekeeper, keepalive and so on) and hands itself to each; the
parts know these protocols, and none of them knows the class :class:`.gevent_worker.GeventWorker`.
The first half is what they use of RQ's own worker, some of it private: look here first when RQ
changes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from redis import Redis
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.worker import DequeueStrategy

from .endings import Ended
from .taken import Started, Taken


class Run(Protocol):
    """A job that is running."""

    started: Started

    def is_overdue(self, at: datetime) -> bool:
        """Return whether the job is still running although its timeout passed long ago."""

    def end(self, how: type[Ended]) -> None:
        """End the job where it waits; one that has returned already is left alone."""


class RQWorker(Protocol):
    """What the parts use of :class:`rq.Worker`; its own documentation applies."""

    name: str
    log: logging.Logger
    connection: Redis
    queues: list[Queue]
    serializer: Any
    job_class: type[Job]
    queue_class: type[Queue]
    death_penalty_class: Any
    default_result_ttl: int
    job_monitoring_interval: int
    last_cleaned_at: Any
    worker_ttl: int
    _dequeue_strategy: DequeueStrategy | None
    _ordered_queues: list[Queue]
    _stopped_job_id: str | None

    @property
    def key(self) -> str: ...
    @property
    def executions_key(self) -> str: ...
    @property
    def dequeue_timeout(self) -> int: ...
    @property
    def should_run_maintenance_tasks(self) -> bool: ...

    def check_for_suspension(self, burst: bool) -> None: ...
    def get_heartbeat_ttl(self, job: Job, working_time: float = ...) -> int: ...
    def get_state(self) -> str: ...
    def handle_job_failure(
        self,
        job: Job,
        queue: Queue,
        started_job_registry: Any = ...,
        exc_string: str = ...,
        execution: Execution | None = ...,
    ) -> None: ...
    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: Any, execution: Execution
    ) -> None: ...
    def handle_work_horse_killed(
        self, job: Job, retpid: int, ret_val: int, rusage: Any
    ) -> None: ...
    def heartbeat(self, timeout: int | None = ..., pipeline: Any = ...) -> None: ...
    def queue_keys(self) -> list[str]: ...
    def reorder_queues(self, reference_queue: Queue) -> None: ...
    def request_stop(self, signum: int, frame: Any) -> None: ...
    def run_maintenance_tasks(self) -> None: ...
    def serialize(self) -> dict[Any, Any]: ...
    def _finalize_failure(
        self, job: Job, queue: Queue, execution: Execution, exc_info: Any
    ) -> None: ...
    def _finalize_success(
        self, job: Job, queue: Queue, execution: Execution, return_value: Any
    ) -> None: ...


class Pool(RQWorker, Protocol):
    """A worker that runs many jobs at once, as its parts see it."""

    #: How many jobs it may run at once.
    concurrency: int
    #: Whether RQ's shutdown command was received.
    dismissed: bool

    @property
    def running(self) -> Mapping[str, Run]:
        """The jobs that are running, by execution id."""

    def start_all(self, batch: Iterable[Taken]) -> None:
        """Run jobs that were taken off their queues, each in a greenlet."""

    def job_ended(self, execution_id: str) -> None:
        """Make room for another job; called by a job as the last thing it does."""

    def look_for_jobs(self) -> None:
        """Have the loop look at the queues: there may be jobs."""

    def stop_working(self) -> None:
        """Take no more jobs, and end when the running ones have."""

    def rest(self) -> None:
        """Tell RQ that this worker is idle."""

    def wait_for_redis(self) -> None:
        """Return as soon as Redis answers."""
