"""Errors reach Sentry once, with the names of what failed, and without what was pushed.

Everything here does nothing if the Sentry SDK is absent or the project has not initialised it.

A scope of its own belongs to every job (:func:`job_scope`): under gevent each greenlet has its
own context, and the SDK keeps its scopes there. What is captured in the scope of one of our jobs
is *private*: an event processor strips local variables, bodies, messages and whatever else may
hold a payload or an address, unless ``PUSHJOBS["SENTRY_SEND_PAYLOADS"]`` allows them. Jobs that
are not ours are reported as the project has set up its SDK.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .conf import conf

if TYPE_CHECKING:
    from sentry_sdk import Scope
    from sentry_sdk.types import Event, Hint

try:
    import sentry_sdk
except ImportError:
    # The package depends on it, but works for those who cannot install it.
    sentry_sdk = None  # type: ignore[assignment]

FILTERED = "[Filtered]"

_PACKAGE = "django_pushjobs."

#: Modules whose exceptions have messages that never hold a payload or an address.
_PLAIN_SPOKEN = frozenset({"django_pushjobs.exceptions", "rq.timeouts"})

#: What RQ says of a failed job, besides the exception: a traceback as text, and the arguments.
_RQ_LOGGER = "rq.worker"

#: W3C Trace Context, section 3.2: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}")


def _active() -> bool:
    # Not sentry_sdk.is_initialized(), which makes two scopes for each greenlet that asks. The
    # client of sentry_sdk.init() is that of the global scope.
    return sentry_sdk is not None and sentry_sdk.Scope.get_global_scope().client.is_active()


class _Job:
    """The event processor of one job: each error once, and nothing private."""

    def __init__(self, *, private: bool) -> None:
        self.private = private
        self._seen: list[object] = []

    def __call__(self, event: Event, hint: Hint) -> Event | None:
        if getattr(hint.get("log_record"), "name", None) == _RQ_LOGGER or self._is_repeat(hint):
            return None
        return _scrub(event, hint) if self.private else event

    def _is_repeat(self, hint: Hint) -> bool:
        """Whether this exception was captured before: by us, by a logger, by an integration."""
        error = (hint.get("exc_info") or (None, None))[1]
        if error is None:
            return False
        if any(error is seen for seen in self._seen):
            return True
        self._seen.append(error)
        return False


_job: ContextVar[_Job | None] = ContextVar("django_pushjobs.sentry.job", default=None)
_private_scope: ContextVar[object] = ContextVar("django_pushjobs.sentry.scope", default=None)


def job_scope(job_id: str, *, queue: str, function: str) -> AbstractContextManager[None]:
    """Give one RQ job a scope of its own; open it in the greenlet that runs the job.

    It has to last until the job's failure has been handled, so that whatever reports the failure
    (:func:`capture`, the SDK's RQ integration, a log record) finds the tags and reports it once.

    :param function: dotted path of the job function. Those of this package are private.
    """
    return _job_scope(job_id, queue, function) if _active() else nullcontext()


@contextmanager
def _job_scope(job_id: str, queue: str, function: str) -> Iterator[None]:
    job = _Job(private=function.startswith(_PACKAGE))
    with sentry_sdk.isolation_scope() as scope:
        scope.clear_breadcrumbs()
        scope.set_new_propagation_context()
        scope.set_transaction_name(function, source="task")
        scope.set_tags({"rq.job_id": job_id, "rq.queue": queue})
        scope.add_event_processor(job)
        token = _job.set(job)
        try:
            yield
        finally:
            _job.reset(token)


@contextmanager
def background(name: str) -> Iterator[None]:
    """Give a loop a scope of its own, tagged ``pushjobs.loop``; all in it is private.

    For threads that outlive the job that happened to start them: the SDK hands the scope of the
    starter to a new thread, and the tags of one job would stick to the loop for good.
    """
    if not _active():
        yield
        return
    scope = sentry_sdk.Scope()
    with (
        sentry_sdk.scope.use_isolation_scope(scope),
        sentry_sdk.scope.use_scope(sentry_sdk.Scope()),
    ):
        scope.set_tag("pushjobs.loop", name)
        scope.add_event_processor(_scrub)
        token = _job.set(None)
        try:
            yield
        finally:
            _job.reset(token)


def tag_push_request(
    request_id: UUID, backend: str, client: object = None, traceparent: str = ""
) -> None:
    """Tag what is captured from here on with the push request at work, and keep it private.

    :param backend: its alias.
    :param client: the key of the client, or None if our own code submitted it.
    :param traceparent: trace context of the call that brought it; its trace is continued.
    """
    if not _active():
        return
    scope = sentry_sdk.get_current_scope()
    scope.set_tags({"push_request.id": str(request_id), "push_request.backend": backend})
    if client is not None:
        scope.set_tag("push_request.client", str(client))
    if match := _TRACEPARENT.fullmatch(traceparent):
        sentry_sdk.continue_trace({"sentry-trace": f"{match['trace']}-{match['span']}"})
    _make_private(scope)


def protect() -> None:
    """Keep what is captured from here on in this request or job private.

    For a view that handles payloads: the SDK attaches the body of the HTTP request otherwise.
    """
    if _active():
        _make_private(sentry_sdk.get_current_scope())


def capture(error: BaseException) -> None:
    """Report an error that was handled; private, unless in a job that is not ours."""
    if not _active():
        return
    job = _job.get()
    with sentry_sdk.new_scope() as scope:
        if job is None or job.private:
            scope.add_event_processor(_scrub)
        sentry_sdk.capture_exception(error)


def report(message: str, *, logger: str, tags: Mapping[str, str]) -> None:
    """Report that something has happened which is nobody's error, as a warning.

    :param message: a sentence that is always the same, so that what it reports is one issue.
    :param logger: the name of the module that reports it.
    """
    if _active():
        entry = {"message": message}
        sentry_sdk.capture_event(
            {"level": "warning", "logger": logger, "logentry": entry, "tags": dict(tags)}
        )


def ignore(logger_name: str) -> None:
    """Leave the records of one logger out.

    For a process that forks and has no use for the SDK's thread: an event that waits there would
    be sent once by every child that inherits it.
    """
    if sentry_sdk is not None:
        from sentry_sdk.integrations.logging import ignore_logger

        ignore_logger(logger_name)


def flush(timeout: float = 2.0) -> None:
    """Wait until everything captured was sent, ``timeout`` seconds at most.

    Call it at the end of a process: a child that leaves by ``os._exit`` runs no exit handlers.
    """
    if _active():
        sentry_sdk.flush(timeout=timeout)


def _make_private(scope: Scope) -> None:
    # Processors run in the order they were added, those of the current scope last. Only there
    # we also see what integrations add by processors of their own.
    if _private_scope.get() is not scope:
        scope.add_event_processor(_scrub)
        _private_scope.set(scope)


def _scrub(event: Event, hint: Hint) -> Event | None:
    """Return ``event`` without anything that may hold a payload or an address."""
    try:
        return event if conf().SENTRY_SEND_PAYLOADS else _scrubbed(event)
    except Exception:
        # The SDK would send the event as it was.
        return None


def _scrubbed(event: Any) -> Event:
    for error in _values(event, "exception"):
        if error.get("module") not in _PLAIN_SPOKEN:
            error["value"] = FILTERED
    for holder in (event, *_values(event, "exception"), *_values(event, "threads")):
        for frame in (holder.get("stacktrace") or {}).get("frames") or ():
            frame.pop("vars", None)
    _scrub_message(event)
    _keep(event, "request", {"url", "method"})
    _keep(event, "extra", {"sys.argv", "rq-job"})
    _keep(event.get("extra"), "rq-job", {"job_id", "func", "enqueued_at", "started_at"})
    if "breadcrumbs" in event:
        # Copies: the crumbs are shared with the scope.
        kept = {"type", "category", "level", "timestamp"}
        crumbs = [_only(crumb, kept) for crumb in _values(event, "breadcrumbs")]
        event["breadcrumbs"] = {"values": crumbs}
    # The trace context repeats the span in which it happened.
    for span in (*(event.get("spans") or ()), (event.get("contexts") or {}).get("trace") or {}):
        span.pop("data", None)
        if span.get("op") != "db":
            # SQL has placeholders; the URL of an HTTP request may be an address.
            span.pop("description", None)
    return event  # type: ignore[no-any-return]


def _scrub_message(event: Any) -> None:
    # The templates of our own log messages are sentences of ours, their arguments may be not.
    ours = str(event.get("logger", "")).startswith(_PACKAGE)
    if entry := event.get("logentry"):
        event["logentry"] = {"message": entry.get("message") if ours else FILTERED}
    if "message" in event:
        event["message"] = FILTERED


def _values(event: Any, interface: str) -> list[Any]:
    return list((event.get(interface) or {}).get("values") or ())


def _only(mapping: Any, keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key in keys}


def _keep(holder: Any, name: str, keys: set[str]) -> None:
    if holder and name in holder:
        holder[name] = _only(holder[name], keys)
