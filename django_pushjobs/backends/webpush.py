"""Web Push: browsers, through the push service that each of them has chosen."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, Final

from .. import __version__
from ..exceptions import DestinationRefused, FieldError
from ..transport.connections import check_limits
from ..transport.exchanges import exchange
from ..transport.origins import Origins
from . import notification as notifications
from .answers import Answers
from .base import BasePushBackend, Message, Target
from .notification import merged
from .outcomes import Outcome, OutcomeClass
from .subscriptions import NoSubscription, Subscription
from .vapid import Vapid

#: RFC 8291, section 4: 4,096 bytes less the header (86), the padding delimiter and the tag (17).
MAX_PAYLOAD: Final = 3_993
#: Seconds; four weeks, which is what push services keep at most.
MAX_TTL: Final = 2_419_200
#: Hosts, and domains with all their hosts, of the push services that browsers are built with.
PUSH_SERVICES: Final = (
    "fcm.googleapis.com",
    "push.services.mozilla.com",
    "push.apple.com",
    "notify.windows.com",
)
#: Subscriptions of a process whose keys are kept parsed.
KEPT: Final = 4_096

_RECORD_SIZE = 4_096
#: RFC 8030, section 5.4.
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
#: What a message may say of the headers, and how.
_HEADERS = {
    "TTL": re.compile(r"[0-9]{1,8}"),
    "Urgency": re.compile(r"very-low|low|normal|high"),
    "Topic": _TOPIC,
}
_MAX_PROVIDER_ID = 255

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class WebPushBackend(BasePushBackend):
    """Encrypts each message for one browser and posts it to the endpoint of its subscription.

    The address is a subscription as the browser writes it: ``JSON.stringify(subscription)``.

    :param private_key: the VAPID key, see ``manage.py pushjobs_vapid``.
    :param subject: whom a push service turns to: ``mailto:`` or ``https:`` with a public host.
    :param ttl: seconds that a message without an expiry is kept for a browser that is away.
    :param max_payload: bytes that a message may have before it is encrypted; Mozilla bridges to
        phones with 2,744.
    :param connect_timeout: seconds to connect to one address of a push service.
    :param timeout: seconds for one push in all.
    :param connections: connections of a process to one push service, at most.
    :param origins: push services that a process keeps connections to, at most.
    :param push_services: hosts, and domains with all their hosts, that are believed when they say
        that our key or our settings are wrong. Anybody may subscribe with an endpoint of his own:
        of any other host that is a fault of the address, and does not pause the backend.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param answers: what answers mean where that differs, see :mod:`.answers`.
    """

    supports_collapse: ClassVar[bool] = True

    def __init__(
        self,
        *,
        alias: str,
        private_key: str,
        subject: str,
        ttl: int = MAX_TTL,
        max_payload: int = MAX_PAYLOAD,
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
        connections: int = 500,
        origins: int = 100,
        push_services: Sequence[str] = PUSH_SERVICES,
        ca_file: str | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(alias=alias)
        try:
            import http_ece
        except ImportError as error:
            raise ValueError(f"needs the extra django-pushjobs[webpush]: {error}") from error
        check_limits(
            connect_timeout=connect_timeout,
            timeout=timeout,
            connections=connections,
            origins=origins,
            max_payload=max_payload,
        )
        if max_payload > MAX_PAYLOAD:
            raise ValueError(f"max_payload must be at most {MAX_PAYLOAD}")
        if not isinstance(ttl, int) or not 0 <= ttl <= MAX_TTL:
            raise ValueError(f"ttl must be from 0 to {MAX_TTL} seconds")
        if isinstance(push_services, str):
            raise ValueError("push_services must be a list of hosts")
        self._push_services = tuple(push_services)
        self.timeout = timeout
        self.max_payload: int = max_payload
        self._ttl = ttl
        self._vapid = Vapid(private_key, subject)
        self._answers = Answers("webpush", answers)
        self._origins = Origins(
            size=origins,
            connections=connections,
            connect_timeout=connect_timeout,
            ca_file=ca_file,
        )
        self._encrypt = http_ece.encrypt
        self._subscription = lru_cache(KEPT)(Subscription.parse)

    def validate(self, message: Message) -> list[FieldError]:
        if found := [*notifications.errors(message.options), *_header_errors(message.options)]:
            return found
        size = len(_to_json(payload(message, _SOMEWHERE)).encode())
        if size > self.max_payload:
            return [notifications.too_large(message, size, self.max_payload, self.alias)]
        return []

    def push(self, message: Message, target: Target) -> Outcome:
        plain = _to_json(payload(message, target)).encode()
        if len(plain) > self.max_payload:
            return Outcome(
                kind=OutcomeClass.FAIL,
                code="payload_too_large",
                detail=f"the payload has {len(plain)} bytes, Web Push takes {self.max_payload}",
            )
        try:
            subscription = self._subscription(target.address)
            authorization = self._vapid.authorization(subscription.origin)
        except DestinationRefused as refused:
            return self._refused(refused)
        except NoSubscription:
            return self._answers.outcome("bad_subscription")
        request = self._request(subscription, authorization, plain, message, target)
        connections = self._origins[subscription.origin]
        try:
            reply = exchange(connections, request, timeout=self.timeout, max_response=4_096)
        except DestinationRefused as refused:
            return self._refused(refused)
        outcome = self._answers.outcome(
            reply.answer,
            reason_of(reply.body),
            provider_id=_location(reply.header("location")),
            retry_after=reply.retry_after,
        )
        if outcome.kind is OutcomeClass.CONFIG and not self._believes(connections.host):
            return replace(outcome, kind=OutcomeClass.FAIL)
        return outcome

    def close(self) -> None:
        self._origins.close()

    def _believes(self, host: str) -> bool:
        return any(host == one or host.endswith(f".{one}") for one in self._push_services)

    def _refused(self, refused: DestinationRefused) -> Outcome:
        return self._answers.outcome("unresolvable" if refused.transient else "forbidden_endpoint")

    def _request(
        self,
        subscription: Subscription,
        authorization: str,
        plain: bytes,
        message: Message,
        target: Target,
    ) -> bytes:
        body = encrypt(plain, subscription, self._encrypt)
        lines = [
            f"POST {subscription.path} HTTP/1.1",
            f"Host: {subscription.authority}",
            f"User-Agent: django-pushjobs/{__version__}",
            f"Authorization: {authorization}",
            "Content-Encoding: aes128gcm",
            "Content-Type: application/octet-stream",
            f"Content-Length: {len(body)}",
        ]
        told = headers(message, target, ttl=self._ttl)
        lines += [f"{name}: {value}" for name, value in told.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


#: What the size of a payload is counted with, before an address is known.
_SOMEWHERE = Target(delivery_id=notifications.NO_DELIVERY, address="")


def encrypt(plain: bytes, subscription: Subscription, library: Any) -> bytes:
    """Return ``plain`` as one record that only the browser can read (RFC 8291, RFC 8188).

    Salt and sender's key are new for every message: of one pair no two records may be made.

    :param library: ``http_ece.encrypt``.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    sender = ec.generate_private_key(ec.SECP256R1())
    body: bytes = library(
        plain,
        private_key=sender,
        dh=subscription.key,
        auth_secret=subscription.auth,
        rs=_RECORD_SIZE,
        version="aes128gcm",
    )
    return body


def payload(message: Message, target: Target) -> dict[str, Any]:
    """Return what the service worker gets, by ``event.data.json()``.

    ::

        {"web_push": 8030, "id": "…", "app_badge": 3,
         "notification": {"title": "…", "body": "…", "navigate": "…", "image": "…", "tag": "…",
                          "data": {…}}}

    That is a declarative push message (https://w3c.github.io/push-api/#declarative-push-message),
    which some browsers show by themselves; ``web_push`` is there where it has what one needs, a
    title and somewhere to go. A message with nothing to show has its ``data`` beside the ``id``.
    ``id`` is the id of the delivery, the same at every attempt.
    """
    told = notifications.read(message, "webpush")
    wire: dict[str, Any] = {"id": str(target.delivery_id)}
    if told.badge is not None:
        wire["app_badge"] = told.badge
    if told.is_silent:
        if message.data:
            wire["data"] = dict(message.data)
    else:
        shown = {
            "title": message.title,
            "body": message.body,
            "navigate": told.click_action,
            "image": told.image,
            # A repeat takes the place of the first.
            "tag": message.collapse_key or wire["id"],
            "data": dict(message.data),
        }
        wire["notification"] = {name: value for name, value in shown.items() if value}
        if message.title and told.click_action:
            wire["web_push"] = 8030
    over = {name: told.override[name] for name in told.override if name != "headers"}
    return merged(wire, over)


def headers(message: Message, target: Target, *, ttl: int) -> dict[str, str]:
    """Return TTL, Urgency and Topic (RFC 8030, section 5).

    :param ttl: seconds, where the message does not expire.
    """
    told = notifications.read(message, "webpush")
    own = {
        "TTL": str(told.ttl(default=ttl, cap=MAX_TTL)),
        "Urgency": message.priority
        if _HEADERS["Urgency"].fullmatch(message.priority)
        else "normal",
        # A repeat takes the place of the first, where that still waits for the browser.
        "Topic": topic(message.collapse_key) or _base64url(target.delivery_id.bytes),
    }
    said = told.override.get("headers")
    if isinstance(said, Mapping):
        own |= {name: str(said[name]) for name in said if not _header_problem(name, said[name])}
    return own


def topic(collapse_key: str) -> str:
    """Return a collapse key as a Topic: itself, or a digest where it is none (RFC 8030, 5.4)."""
    if not collapse_key or _TOPIC.fullmatch(collapse_key):
        return collapse_key
    return _base64url(hashlib.sha256(collapse_key.encode()).digest())[:32]


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _header_errors(options: Mapping[str, Any]) -> Iterator[FieldError]:
    override = options.get("webpush")
    given = override.get("headers") if isinstance(override, Mapping) else None
    if given is None:
        return
    if not isinstance(given, Mapping):
        yield FieldError("/options/webpush/headers", "must be an object", "invalid_type")
        return
    for name, value in given.items():
        if problem := _header_problem(name, value):
            pointer = name.replace("~", "~0").replace("/", "~1")
            yield FieldError(f"/options/webpush/headers/{pointer}", problem, "invalid_header")


def _header_problem(name: str, value: Any) -> str | None:
    form = _HEADERS.get(name)
    if form is None:
        return f"is not one of {', '.join(_HEADERS)}"
    return None if form.fullmatch(str(value)) else "is not a value of this header"


def reason_of(body: bytes) -> str:
    """Return the reason of an answer: Apple's ``reason``, Mozilla's ``errno``, or ""."""
    if not body.startswith(b"{"):
        return ""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(told.get("reason") or told.get("errno") or "")[:64]


def _location(location: str) -> str:
    """Return the URL of the message at the push service, where it fits."""
    return location if len(location) <= _MAX_PROVIDER_ID and location.isprintable() else ""
