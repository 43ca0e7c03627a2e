"""The answers in the tables of all backends, as cases: how each comes about, what it leads to.

The cases are made from ``answer_rows``, so that a new row is one more of them. What has a status
can be said by every stand-in; a new word needs an entry here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from h2.errors import ErrorCodes

from django_pushjobs.backends import BasePushBackend, OutcomeClass, Row
from django_pushjobs.backends.apns import APNsBackend
from django_pushjobs.backends.apns_answers import OWN_TOPIC
from django_pushjobs.backends.apns_answers import ROWS as APNS_ROWS
from django_pushjobs.backends.fcm import FCMBackend
from django_pushjobs.backends.fcm_answers import APNS_OTHER, OF_APNS
from django_pushjobs.backends.http import HTTPBackend
from django_pushjobs.backends.outcomes import Scope
from django_pushjobs.backends.webpush import PUSH_SERVICES, WebPushBackend
from django_pushjobs.backends.webpush_answers import (
    APPLE,
    KEY_MISMATCH,
    MOZILLA,
    WNS,
    WNS_HEADERS,
    WNS_THROTTLED,
)
from django_pushjobs.states import DeliveryStatus

from . import apns, fcm, push_service
from .peers import RESET, SILENCE, Reply, as_json

BACKENDS: Final[Mapping[str, type[BasePushBackend]]] = {
    "http": HTTPBackend,
    "webpush": WebPushBackend,
    "fcm": FCMBackend,
    "apns": APNsBackend,
}

#: A status that no table knows, and that of a class.
UNHEARD_OF: Final = "418"
_MEMBERS: Final = {"2xx": "202", "4xx": "418", "5xx": "502"}

#: Words for what happens to a connection before it is known whom the push is for. Where all
#: addresses lead to one host they meet all of them or none.
CONNECTING: Final = frozenset({"unreachable", "connect_timeout", "tls_failed", "bad_certificate"})
#: Words for what a forward proxy says instead -> its status.
PROXY: Final = {"proxy_refused": 407, "proxy_denied": 403, "proxy_failed": 502}
#: Words for what the authorization server of FCM says of the account.
ACCOUNT: Final = frozenset({"no_token", "bad_credentials"})
#: Words for what is wrong with an endpoint itself.
ENDPOINT: Final = frozenset({"bad_subscription", "forbidden_endpoint", "unresolvable"})

#: Source of a row -> the push service that says so.
_PUSH_SERVICES: Final = {
    APPLE: "web.push.apple.com",
    MOZILLA: "updates.push.services.mozilla.com",
    WNS: "db5p.notify.windows.com",
}
#: The one that says the rest.
GOOGLE: Final = "fcm.googleapis.com"
HOSTS: Final = (*_PUSH_SERVICES.values(), GOOGLE)

_HTTP1_WORDS: Final = {
    "timeout": SILENCE,
    "connection_lost": RESET,
    "bad_answer": Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
}
_HTTP2_WORDS: Final[Mapping[str, apns.Reply]] = {
    "timeout": apns.Hang(),
    "connection_lost": apns.Abort(),
    "goaway": apns.GoAway(),
    "refused_stream": apns.Reset(ErrorCodes.REFUSED_STREAM),
    "stream_reset": apns.Reset(),
}

#: Backend, answer, reason -> why no provider leads to this row.
IMPOSSIBLE: Final[Mapping[tuple[str, str, str], str]] = {
    ("apns", "bad_answer", ""): "over HTTP/2 this is a lost connection",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a table.

    :param number: from 1; addresses name it.
    :param reply: what the stand-in answers to such an address; None: no answer of it is needed.
    :param options: of the message.
    """

    number: int
    backend: str
    row: Row
    reply: Reply | apns.Reply | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.backend, self.row.answer, self.row.reason)))

    @property
    def is_of_all(self) -> bool:
        """Whether no address can meet this alone."""
        word = self.row.answer
        return (
            word in ACCOUNT or word in PROXY or (word in CONNECTING and self.backend != "webpush")
        )

    @property
    def host(self) -> str:
        """Of the push service that says so."""
        return _PUSH_SERVICES.get(self.row.source, GOOGLE)

    @property
    def pauses(self) -> bool:
        """Whether what all addresses meet has to pause where they lead to."""
        return self.row.kind is OutcomeClass.CONFIG and self.row.scope is Scope.CREDENTIALS

    @property
    def is_outage(self) -> bool:
        """Whether a provider that says so to five addresses is away."""
        if self.row.kind not in (OutcomeClass.RETRY, OutcomeClass.RECONNECT):
            return False
        return self.row.scope is Scope.PROVIDER or _status(self.row) in ("502", "503", "504")

    @property
    def origin(self) -> str:
        """What is paused of the backend, if something is; "" is all of it."""
        if self.backend != "webpush":
            return ""
        return next(name for name in PUSH_SERVICES if self.host.endswith(name))

    @property
    def end(self) -> DeliveryStatus:
        """What becomes of an address that meets nothing else."""
        match self.row.kind:
            case OutcomeClass.OK:
                return DeliveryStatus.ACCEPTED
            case OutcomeClass.DROP:
                return DeliveryStatus.DROPPED
            case OutcomeClass.FAIL:
                return DeliveryStatus.FAILED
        return DeliveryStatus.UNKNOWN if self.row.unknown else DeliveryStatus.FAILED

    @property
    def is_tried_again(self) -> bool:
        return self.row.kind not in (OutcomeClass.OK, OutcomeClass.DROP, OutcomeClass.FAIL)

    @property
    def code(self) -> str:
        """The error code that proves that it was this row."""
        row = self.row
        if row.kind is OutcomeClass.OK:
            return ""
        status = _status(row)
        return row.code or row.reason or (f"http_{status}" if status.isdigit() else status)


def _status(row: Row) -> str:
    """Return the status of an answer to which ``row`` applies, or its word."""
    return UNHEARD_OF if row.answer == "*" else _MEMBERS.get(row.answer, row.answer)


def _of_gateway(row: Row) -> Reply:
    return _HTTP1_WORDS.get(row.answer) or Reply(int(_status(row)))


def _of_push_service(row: Row) -> Reply:
    if (reply := _HTTP1_WORDS.get(row.answer)) is not None:
        return reply
    if row.reason == KEY_MISMATCH:
        return push_service.ANSWERS["do-not-correspond"]
    status, reason = int(_status(row)), row.reason
    if not reason or reason in (WNS_HEADERS, WNS_THROTTLED):
        return Reply(status)
    return as_json(status, {"errno": int(reason)} if reason.isdigit() else {"reason": reason})


def _of_fcm(row: Row) -> Reply:
    if (reply := _HTTP1_WORDS.get(row.answer)) is not None:
        return reply
    status, reason = int(_status(row)), row.reason
    if reason.startswith(OF_APNS):
        return _passed_on(row)
    if not reason:
        return Reply(status)
    if reason == "INVALID_REGISTRATION":
        return fcm.ANSWERS["INVALID_TOKEN"]
    if reason == "INVALID_ARGUMENT":
        return fcm.ANSWERS["INVALID_FIELD"]
    return fcm.error(status, reason, code=reason)


def _passed_on(row: Row) -> Reply:
    """Return FCM's answer with one of APNs in it, as Google documents them."""
    said = row.reason.removeprefix(OF_APNS)
    if row.reason == APNS_OTHER:
        return fcm.error(400, "INVALID_ARGUMENT", apns=(418, "SomethingNew"))
    known = {one.reason: one.answer for one in APNS_ROWS if one.reason}
    status, reason = (known[said], said) if said in known else (_MEMBERS.get(said, said), "")
    if row.kind is OutcomeClass.CONFIG:
        # The status of FCM means that our own credentials are wrong; the detail counts.
        code = "THIRD_PARTY_AUTH_ERROR"
        return fcm.error(401, "UNAUTHENTICATED", code=code, apns=(int(status), reason))
    return fcm.error(400, "INVALID_ARGUMENT", apns=(int(status), reason))


def _of_apns(row: Row) -> apns.Reply:
    if (reply := _HTTP2_WORDS.get(row.answer)) is not None:
        return reply
    return apns.Answer(int(_status(row)), "BadTopic" if row.reason == OWN_TOPIC else row.reason)


_REPLIES: Final = {
    "http": _of_gateway,
    "webpush": _of_push_service,
    "fcm": _of_fcm,
    "apns": _of_apns,
}
#: A message that brings in a topic of its own.
_VOIP: Final = {"apns-topic": f"{apns.TOPIC}.voip", "apns-push-type": "voip"}


def _cases() -> Iterator[Case]:
    number = 0
    for backend, kind in BACKENDS.items():
        for row in kind.answer_rows:
            number += 1
            if (backend, row.answer, row.reason) in IMPOSSIBLE:
                continue
            if row.answer in CONNECTING | ACCOUNT | ENDPOINT | PROXY.keys():
                yield Case(number, backend, row)
                continue
            options = {}
            if backend == "apns" and row.reason == OWN_TOPIC:
                options = {"apns": {"headers": _VOIP}}
            yield Case(number, backend, row, _REPLIES[backend](row), options)


CASES: Final = tuple(_cases())
