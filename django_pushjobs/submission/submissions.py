"""A push request before it is accepted, and every rule that it has to keep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.utils import timezone

from ..backends import BasePushBackend, Message, backends
from ..conf import conf
from ..exceptions import MAX_ERRORS, DestinationRefused, FieldError, InvalidPushRequest
from ..recipients import Recipient, problem_with, split
from ..runtime.turns import in_turns
from ..states import OnUnknown, Priority
from ..transport import destinations

MAX_TITLE = 1_024
MAX_BODY = 65_536
MAX_COLLAPSE_KEY = 64
MAX_REFERENCE = 255
MAX_REQUEST_ID = 128
MAX_TRACEPARENT = 64
#: Seconds; a year.
MAX_TTL = 31_536_000
#: Bytes of ``data`` or ``options``, unless the backend sets a tighter limit.
MAX_JSON = 65_536
#: Levels of objects and arrays in ``data`` or ``options``.
MAX_DEPTH = 31

_PRIORITIES = tuple(Priority.values)
_ON_UNKNOWN = tuple(OnUnknown.values)

_SCALARS = frozenset({str, int, float, bool, type(None)})

#: Control characters that do not belong in a text: all but line breaks and tabs.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
#: U+0000 as JSON writes it: a backslash that is itself escaped does not count.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One push request before it is accepted: the arguments of :func:`~.services.submit`.

    :param recipients: addresses, or ``{kind: value}`` for the resolver of that kind.
    :param data: JSON object for the device.
    :param options: JSON object for the provider.
    :param backend: alias; None means the default one.
    :param send_at: aware; not before this time.
    :param expires_at: aware; not after this time.
    :param ttl: seconds after ``send_at``, or after it was accepted, instead of ``expires_at``.
    :param collapse_key: a later message with the same key replaces this one, if the provider can.
    :param on_unknown: ``retry`` or ``stop``: what to do with an address if nobody knows whether the
        provider accepted the message; None leaves that to the backend.
    :param reference: the caller's own name for the request.
    :param callback_url: called instead of the URL of the client's endpoint at the same origin.
    :param request_id: ``X-Request-ID`` of the call that brought it.
    :param traceparent: W3C trace context of the call that brought it.
    """

    recipients: Sequence[Recipient]
    title: str = ""
    body: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    backend: str | None = None
    priority: str = Priority.NORMAL
    send_at: datetime | None = None
    expires_at: datetime | None = None
    ttl: int | None = None
    collapse_key: str = ""
    on_unknown: str | None = None
    reference: str = ""
    callback_url: str = ""
    request_id: str = ""
    traceparent: str = ""

    @property
    def alias(self) -> str:
        """The alias of the backend that will push it."""
        return self.backend or conf().DEFAULT_BACKEND

    @property
    def _has_backend(self) -> bool:
        return isinstance(self.alias, str) and self.alias in backends

    def end(self, accepted_at: datetime) -> datetime | None:
        """Return the time after which it is not pushed, or None if there is none."""
        if self.ttl is None:
            return self.expires_at
        return (self.send_at or accepted_at) + timedelta(seconds=self.ttl)

    def message(self, request_id: UUID) -> Message:
        """Return the part that goes to the backend."""
        return Message(
            request_id=request_id,
            title=self.title,
            body=self.body,
            data=self.data,
            options=self.options,
            priority=self.priority,
            collapse_key=self.collapse_key,
            expires_at=self.expires_at,
            traceparent=self.traceparent,
        )

    def check(self, now: datetime | None = None) -> None:
        """Make sure that this can be accepted.

        :raises InvalidPushRequest: it cannot; ``errors`` names every field at fault, or at least
            :data:`~.exceptions.MAX_ERRORS` of them.
        """
        if errors := list(islice(self._errors(now or timezone.now()), MAX_ERRORS + 1)):
            raise InvalidPushRequest(errors)

    def broadcast_errors(self) -> Iterator[FieldError]:
        """Yield the recipients that are not one device each, for callers who may not name such.

        Call it for a submission that was checked.
        """
        backend = backends[self.alias]
        if type(backend).reaches_many is BasePushBackend.reaches_many:
            return
        for index, recipient in enumerate(self.recipients):
            kind, value = split(recipient)
            if kind == "address" and backend.reaches_many(value):
                detail = "reaches many devices, and this client may not broadcast"
                yield FieldError(f"/recipients/{index}", detail, "not_allowed")

    def _errors(self, now: datetime) -> Iterator[FieldError]:
        yield from self._recipient_errors()
        message_errors = [
            *_text_errors("title", self.title, MAX_TITLE),
            *_text_errors("body", self.body, MAX_BODY),
            *_json_errors("data", self.data),
            *_json_errors("options", self.options),
            *_line_errors("collapse_key", self.collapse_key, MAX_COLLAPSE_KEY),
        ]
        yield from message_errors
        yield from _line_errors("reference", self.reference, MAX_REFERENCE)
        yield from _line_errors("request_id", self.request_id, MAX_REQUEST_ID)
        yield from _line_errors("traceparent", self.traceparent, MAX_TRACEPARENT)
        yield from _url_errors("callback_url", self.callback_url)
        if self.priority not in _PRIORITIES:
            known = ", ".join(_PRIORITIES)
            yield FieldError("/priority", f"must be one of {known}", "invalid_choice")
        if self.on_unknown is not None and self.on_unknown not in _ON_UNKNOWN:
            known = ", ".join(_ON_UNKNOWN)
            yield FieldError("/on_unknown", f"must be one of {known}", "invalid_choice")
        yield from self._time_errors(now)
        if not self._has_backend:
            yield FieldError("/backend", "is not a backend of this site", "unknown_backend")
        elif not message_errors:
            yield from backends[self.alias].validate(self.message(_NO_ID))

    def _recipient_errors(self) -> Iterator[FieldError]:
        # A backend that accepts any address need not be asked about each of them.
        backend = backends[self.alias] if self._has_backend else None
        if backend and type(backend).problem_with is BasePushBackend.problem_with:
            backend = None
        if isinstance(self.recipients, str) or not isinstance(self.recipients, Sequence):
            yield FieldError("/recipients", "must be a list", "invalid_type")
            return
        if not self.recipients:
            yield FieldError("/recipients", "must not be empty", "empty")
        if len(self.recipients) > (limit := conf().MAX_RECIPIENTS):
            yield FieldError("/recipients", f"has more than {limit} recipients", "too_many")
            return
        for index, recipient in enumerate(in_turns(self.recipients)):
            if problem := problem_with(recipient):
                yield FieldError(f"/recipients/{index}", problem, "invalid_recipient")
            elif backend and (problem := _address_problem(backend, recipient)):
                yield FieldError(f"/recipients/{index}", problem, "invalid_address")
            elif not isinstance(recipient, str):
                yield from _json_errors(f"recipients/{index}", recipient)

    def _time_errors(self, now: datetime) -> Iterator[FieldError]:
        if self.ttl is not None:
            yield from self._ttl_errors(self.ttl)
        times = {"send_at": self.send_at, "expires_at": self.expires_at}
        naive = [name for name, time in times.items() if time and timezone.is_naive(time)]
        for name in naive:
            yield FieldError(f"/{name}", "needs a time zone", "naive")
        if naive:
            return
        if self.send_at and self.send_at <= now:
            yield FieldError("/send_at", "is in the past", "past")
        if self.expires_at and self.expires_at <= now:
            yield FieldError("/expires_at", "is in the past", "past")
        elif self.expires_at and self.send_at and self.expires_at <= self.send_at:
            yield FieldError("/expires_at", "is not after send_at", "before_send_at")

    def _ttl_errors(self, ttl: Any) -> Iterator[FieldError]:
        if not isinstance(ttl, int) or isinstance(ttl, bool):
            yield FieldError("/ttl", "must be a whole number", "invalid_type")
        elif not 1 <= ttl <= MAX_TTL:
            yield FieldError("/ttl", f"must be from 1 to {MAX_TTL} seconds", "out_of_range")
        elif self.expires_at is not None:
            yield FieldError("/ttl", "cannot be combined with expires_at", "conflict")


_NO_ID = UUID(int=0)


def _address_problem(backend: BasePushBackend, recipient: Recipient) -> str | None:
    kind, value = split(recipient)
    return backend.problem_with(value) if kind == "address" else None


def _url_errors(name: str, url: Any) -> Iterator[FieldError]:
    if url == "":
        return
    try:
        destinations.parse(url)
    except DestinationRefused as refused:
        yield FieldError(f"/{name}", refused.detail, refused.code)


def _text_errors(name: str, text: Any, limit: int) -> Iterator[FieldError]:
    """Errors of a text that a person reads: of all controls, line breaks and tabs are fine."""
    if not isinstance(text, str):
        yield FieldError(f"/{name}", "must be a string", "invalid_type")
    elif len(text) > limit:
        yield FieldError(f"/{name}", f"has more than {limit} characters", "too_long")
    elif _CONTROLS.search(text):
        yield FieldError(f"/{name}", "contains control characters", "control_characters")
    elif _SURROGATES.search(text):
        yield FieldError(f"/{name}", "is not valid Unicode", "invalid_unicode")


def _line_errors(name: str, text: Any, limit: int) -> Iterator[FieldError]:
    """Errors of a text that stands on one line."""
    if isinstance(text, str) and len(text) <= limit and text and not text.isprintable():
        yield FieldError(f"/{name}", "contains control characters", "control_characters")
    else:
        yield from _text_errors(name, text, limit)


def _json_errors(name: str, value: Any) -> Iterator[FieldError]:
    if not isinstance(value, Mapping):
        yield FieldError(f"/{name}", "must be an object", "invalid_type")
        return
    if not value:
        return
    if _depth(value) > MAX_DEPTH:
        yield FieldError(f"/{name}", f"is nested deeper than {MAX_DEPTH} levels", "too_deep")
        return
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except UnicodeEncodeError:
        yield FieldError(f"/{name}", "is not valid Unicode", "invalid_unicode")
    except (TypeError, ValueError) as error:
        yield FieldError(f"/{name}", f"is not JSON: {error}", "invalid_json")
    else:
        if size > MAX_JSON:
            yield FieldError(f"/{name}", f"has more than {MAX_JSON} bytes", "too_long")
        elif _NUL.search(text):
            # PostgreSQL's jsonb cannot hold it.
            yield FieldError(f"/{name}", "contains the character U+0000", "control_characters")


def _depth(value: Any) -> int:
    """Return the levels of nesting; counted level by level, so that none exhausts the stack."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        # Most values are of these types, and to ask whether they are mappings takes long.
        level = [v for v in level if type(v) not in _SCALARS]
        containers = [v for v in level if isinstance(v, (dict, list, tuple, Mapping))]
        level = [item for v in containers for item in (v.values() if isinstance(v, Mapping) else v)]
        depth += bool(containers)
    return depth
