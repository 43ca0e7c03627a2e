"""A job that the worker has taken off a queue, until its end is recorded."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue


@dataclass(frozen=True, slots=True)
class Started:
    """A job that was taken off its queue and registered as started by this worker."""

    job: Job
    queue: Queue
    execution: Execution


#: The job that runs in a context: that of its greenlet, or a copy for another one that helps it.
current: ContextVar[Started] = ContextVar("django_pushjobs.worker.current")


@dataclass(frozen=True, slots=True)
class Unfit:
    """A job that was taken off its queue, but is not run.

    :param reason: what is wrong with it: its record makes no sense, or it may not be run there.
    """

    job_id: str
    queue: Queue
    execution: Execution
    reason: str


#: What comes off a queue.
Taken = Started | Unfit


@dataclass(frozen=True, slots=True)
class Finished:
    """A plain job that returned; the time of its end is in ``job.ended_at``.

    :param result_ttl: seconds to keep the result; negative for ever.
    """

    started: Started
    result_ttl: int
    return_value: Any
