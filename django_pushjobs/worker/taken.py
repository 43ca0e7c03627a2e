"""A job that the worker has taken off a queue, until its end is recorded."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A job that was taken off its queue, but whose record makes no sense."""

    job_id: str
    queue: Queue
    execution: Execution
    error: Exception


#: What comes off a queue.
Taken = Started | Unreadable


@dataclass(frozen=True, slots=True)
class Finished:
    """A plain job that returned; the time of its end is in ``job.ended_at``.

    :param result_ttl: seconds to keep the result; negative for ever.
    """

    started: Started
    result_ttl: int
    return_value: Any
