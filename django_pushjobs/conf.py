"""The one dict ``settings.PUSHJOBS``: typed, with defaults, read when it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.core.signals import setting_changed

#: The functions of :mod:`.jobs` that RQ calls: for push requests, and for callbacks.
JOB: Final = "django_pushjobs.jobs.run_push_request"
CALLBACK_JOB: Final = "django_pushjobs.jobs.call_endpoint"


def _default_backends() -> Mapping[str, Mapping[str, Any]]:
    return {"default": {"BACKEND": "django_pushjobs.backends.console.ConsoleBackend"}}


def _default_resolvers() -> Mapping[str, Mapping[str, Any]]:
    return {"address": {"RESOLVER": "django_pushjobs.recipients.AddressResolver"}}


def _default_queues() -> Mapping[str, str]:
    return {"high": "pushjobs", "normal": "pushjobs", "low": "pushjobs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """Every key of ``PUSHJOBS`` with its type and its default; docs/reference/settings.rst
    explains them one by one. All times are seconds."""

    #: alias -> {"BACKEND": dotted path, "OPTIONS": {...}}
    BACKENDS: Mapping[str, Mapping[str, Any]] = field(default_factory=_default_backends)
    #: the alias used if a request names none
    DEFAULT_BACKEND: str = "default"
    #: the alias that test keys are bound to; empty: there are no test keys
    TEST_BACKEND: str = ""
    #: kind of recipient -> {"RESOLVER": dotted path, "OPTIONS": {...}}
    RESOLVERS: Mapping[str, Mapping[str, Any]] = field(default_factory=_default_resolvers)
    #: platform, or "platform:app" -> the alias that reaches such devices of our users
    DEVICE_BACKENDS: Mapping[str, str] = field(default_factory=dict)
    #: share of dead addresses above which the settings are to blame and no device is dropped
    DEAD_WAVE_SHARE: float = 0.5
    #: priority -> name of a queue in RQ_QUEUES
    QUEUES: Mapping[str, str] = field(default_factory=_default_queues)
    #: queue -> dotted names of functions, besides ours, that jobs on it may call
    ALLOWED_JOBS: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: what our keys in Redis begin with; empty: "pushjobs:" and an id that is in the database
    REDIS_PREFIX: str = ""
    #: how long a call to Redis may take while a third party waits for an answer
    REDIS_TIMEOUT: float = 0.1
    #: what the limits of clients do without Redis: "open" admits everything, "closed" nothing
    LIMITS_WITHOUT_REDIS: str = "open"
    #: how long one job may run before it is interrupted
    JOB_TIMEOUT: int = 180
    #: how long RQ keeps a finished job; the row has the truth, so briefly
    RESULT_TTL: int = 60
    #: how long RQ keeps a failed job with its traceback
    FAILURE_TTL: int = 86_400
    #: recipients one request may name
    MAX_RECIPIENTS: int = 1_000
    #: requests one batch may hold
    MAX_BATCH: int = 1_000
    #: a request with more addresses is pushed in parts of that size
    PART_SIZE: int = 1_000
    #: addresses of one request that are pushed at the same time
    FANOUT: int = 16
    #: how long a push that failed for a reason that may pass is tried again
    RETRY_FOR: float = 86_400.0
    #: attempts at an address before it fails, however early that is; None: any number
    MAX_ATTEMPTS: int | None = None
    #: ceiling of the wait after the first failed attempt; doubles with each further one
    RETRY_BASE: float = 2.0
    #: ceiling of the wait after any failed attempt
    RETRY_CAP: float = 3_600.0
    #: how long a backend that refuses our credentials is left alone at first; doubles
    PAUSE_BASE: float = 30.0
    #: the longest time between two probes of a paused backend
    PAUSE_CAP: float = 600.0
    #: the time between two probes of a backend that cannot be reached
    PROBE_EVERY: float = 5.0
    #: how long a request waits for a paused backend before it fails
    MAX_PAUSE_WAIT: float = 86_400.0
    #: the share of a process's slots that one backend may take while others need some
    BULKHEAD: float = 0.75
    #: how long a claim holds without being renewed; then the requests of a dead worker run again
    LEASE: float = 60.0
    #: claims and results that are committed in one transaction at most
    COMMIT_BATCH: int = 500
    #: how often the relay looks for work
    RELAY_INTERVAL: float = 1.0
    #: how long a request is QUEUED before the relay checks whether its job still exists
    LOST_JOB_AFTER: float = 5.0
    #: how long requests that ended are kept; 0: forever
    RETENTION: float = 0.0
    #: how long the API asks third parties to wait before they poll a request again
    POLL_INTERVAL: int = 1
    #: name of the queue in RQ_QUEUES for callbacks; empty: the queue for low priority
    CALLBACK_QUEUE: str = ""
    #: callbacks that one endpoint gets at the same time
    CALLBACK_CONCURRENCY: int = 8
    #: how long the previous secret still signs after a rotation
    CALLBACK_ROTATION: int = 86_400
    #: how long callbacks are kept, with their attempts
    CALLBACK_RETENTION: int = 604_800
    #: for development: allow URLs chosen by others to be http and to lead to this machine
    INSECURE_DESTINATIONS: bool = False
    #: calls a client may make in RATE_WINDOW; here and below, 0 means no limit, and a limit of the
    #: client's own takes precedence
    RATE_LIMIT: int = 0
    #: the window of RATE_LIMIT
    RATE_WINDOW: int = 60
    #: calls of one client that one process of a web server works off at a time; the others wait
    MAX_CLIENT_CALLS: int = 4
    #: push requests a client may submit on one day (UTC)
    DAILY_QUOTA: int = 0
    #: push requests of a client that may be unfinished at a time
    MAX_UNFINISHED: int = 0
    #: proxies in front of the API, each of which appends to X-Forwarded-For
    TRUSTED_PROXIES: int = 0
    #: the longest time a call may wait for its request to finish (Prefer: wait); 0: never
    MAX_WAIT: int = 30
    #: calls and event streams that may wait in one process of a web server on greenlets
    MAX_LISTENERS: int = 4_000
    #: those of them that may be of one client
    MAX_CLIENT_LISTENERS: int = 500
    #: how long the response to a call with an Idempotency-Key is kept
    IDEMPOTENCY_TTL: int = 86_400
    #: let payloads and addresses reach Sentry
    SENTRY_SEND_PAYLOADS: bool = False

    def allowed_jobs(self, queue: str) -> frozenset[str] | None:
        """Return what jobs on ``queue`` may call, or None if that is anything.

        A queue is restricted if it is one of ours, or if ``ALLOWED_JOBS`` names it.
        """
        ours = queue == self.CALLBACK_QUEUE or queue in self.QUEUES.values()
        if not ours and queue not in self.ALLOWED_JOBS:
            return None
        return frozenset(
            (*((JOB, CALLBACK_JOB) if ours else ()), *self.ALLOWED_JOBS.get(queue, ()))
        )


KEYS = frozenset(f.name for f in fields(Conf))


@cache
def conf() -> Conf:
    """Return the settings in force.

    Unknown keys are ignored here and reported by ``manage.py check``.
    """
    given = getattr(settings, "PUSHJOBS", {})
    return Conf(**{key: value for key, value in given.items() if key in KEYS})


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "PUSHJOBS":
        conf.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_pushjobs.conf")
