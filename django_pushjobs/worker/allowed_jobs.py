"""Which jobs a queue may run: names in a job are compared before anything of it is imported.

RQ calls whatever a job names: a function, callbacks, URLs. Whoever can write to Redis can write
jobs, and could so run any function of the project. On the queues that ``Conf.allowed_jobs`` answers
for, nothing else is called than what it lists.
"""

from __future__ import annotations

from typing import Any

from rq.exceptions import DeserializationError
from rq.job import Job
from rq.queue import Queue

from ..conf import conf


def problem_with(job: Job, allowed: frozenset[str] | None) -> str | None:
    """Return in a sentence what ``job`` calls although it is not ``allowed``, or None.

    Imports nothing.

    :param allowed: dotted names; None if a job may call anything.
    """
    if allowed is None:
        return None
    try:
        function, instance = job.func_name, job.instance
    except DeserializationError:
        return "The data of the job cannot be read"
    if instance:
        # RQ would look the name up there, so that it means something else.
        return "The job calls a method of a value that it brings itself"
    if not isinstance(function, str) or function not in allowed:
        return _not_listed("function", function)
    for callback in (
        job._success_callback_name,
        job._failure_callback_name,
        job._stopped_callback_name,
    ):
        if callback is not None and callback not in allowed:
            return _not_listed("callback", callback)
    if job.webhooks:
        # Whoever may choose a URL can make this machine call its own network.
        return "Jobs on this queue may have no webhooks"
    return None


def _not_listed(what: str, name: Any) -> str:
    return (
        f"The {what} {_short(name)} is not one that jobs on this queue may call: if it is yours, "
        "list it in PUSHJOBS['ALLOWED_JOBS']"
    )


def _short(name: Any) -> str:
    return f"{name!r:.200}" if isinstance(name, str) else f"that is a {type(name).__name__}"


def guard(queue: Queue) -> None:
    """Let RQ's own code find only jobs that it may safely handle on ``queue``.

    What it fetches itself are the jobs of workers that died, whose failure callbacks and webhooks
    it calls.
    """
    allowed = conf().allowed_jobs(queue.name)
    if allowed is not None:
        queue.job_class = guarded(queue.job_class, allowed)


def guarded(job_class: type[Job], allowed: frozenset[str]) -> type[Job]:
    """Return a class whose jobs, if they are refused, call nothing and are not retried."""

    class GuardedJob(job_class):  # type: ignore[valid-type, misc]
        def restore(self, raw_data: Any) -> Any:
            super().restore(raw_data)
            if problem_with(self, allowed):
                self._success_callback_name = None
                self._failure_callback_name = None
                self._stopped_callback_name = None
                self.webhooks.clear()
                self.retries_left = self.repeats_left = None

    return GuardedJob
