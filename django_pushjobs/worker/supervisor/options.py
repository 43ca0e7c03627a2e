"""The options of ``rqgeventworker``, validated."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field


class OptionError(ValueError):
    """An option of ``rqgeventworker`` has an impossible value; the message names the option."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"--{option.replace('_', '-')} {problem}")


def _default_name() -> str:
    return f"{socket.gethostname()}.{os.getpid()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What ``rqgeventworker`` was asked to do; times are seconds.

    :param queues: names of RQ queues, the most important first.
    :param processes: children to keep alive.
    :param concurrency: jobs that one child runs at the same time.
    :param name: the first part of the names under which RQ knows the children.
    :param pid: path of a file for the process id of the arbiter.
    :param burst: stop when the queues are empty.
    :param max_jobs: replace a child after it has run this many jobs.
    :param max_idle_time: end a child that has been idle for this long.
    :param max_memory: replace a child that has more MiB than this resident, once its jobs have
        ended.
    :param with_scheduler: move RQ's scheduled jobs to their queues when they are due.
    :param dequeue_strategy: RQ's name for the order in which jobs are taken from the queues.
    :param worker_ttl: how long RQ considers a silent worker alive.
    :param graceful_timeout: how long a stop waits for running jobs.
    :param hang_timeout: how long a child may be silent before it is killed and replaced.
    :param job_class: dotted path of an RQ job class.
    :param queue_class: dotted path of an RQ queue class.
    :param services: dotted paths of callables that run beside the jobs in every child; each gets a
        :class:`threading.Event` that is set when it must return.
    :param single_services: the same, in the first child only.
    :param heir: dotted path of a callable that a child calls for each child that died before it,
        with a :class:`.children.Fallen`, before it takes jobs.
    :raises OptionError: a value is out of range.
    """

    queues: tuple[str, ...]
    processes: int = 2
    concurrency: int = 100
    name: str = field(default_factory=_default_name)
    pid: str | None = None
    burst: bool = False
    max_jobs: int | None = None
    max_idle_time: int | None = None
    max_memory: int | None = None
    with_scheduler: bool = False
    dequeue_strategy: str = "default"
    worker_ttl: int = 420
    graceful_timeout: float = 30.0
    hang_timeout: float = 30.0
    job_class: str | None = None
    queue_class: str | None = None
    log_level: str = "INFO"
    services: tuple[str, ...] = ()
    single_services: tuple[str, ...] = ()
    heir: str | None = None

    def __post_init__(self) -> None:
        for option, lowest, highest in (
            ("processes", 1, 1_000),
            ("concurrency", 1, 10_000),
            ("max_jobs", 1, None),
            ("max_idle_time", 1, None),
            ("max_memory", 1, None),
            ("worker_ttl", 30, None),
            ("graceful_timeout", 0, None),
            ("hang_timeout", 1, None),
        ):
            value = getattr(self, option)
            if value is None:
                continue
            if value < lowest:
                raise OptionError(option, f"must be at least {lowest}, not {value}")
            if highest is not None and value > highest:
                raise OptionError(option, f"must be at most {highest}, not {value}")
        if not self.name or not all(c.isalnum() or c in "._-" for c in self.name):
            raise OptionError("name", "may contain only letters, digits, '.', '_' and '-'")
