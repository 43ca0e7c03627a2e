"""Exceptions that end a running job from outside; each says how its end is recorded."""

from __future__ import annotations

from gevent import GreenletExit


class Ended(GreenletExit):
    """Thrown into the function of a job to end it from outside."""


class Stopped(Ended):
    """By an RQ command that named this job: it is ``STOPPED``."""


class Killed(Ended):
    """As RQ kills a work horse: the job fails, or is retried."""


class Abandoned(Ended):
    """By a cold stop: nothing is recorded, so RQ finds the job abandoned."""
