"""Web Push: browsers, each through the push service that it has chosen."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from ..exceptions import DestinationRefused, FieldError, pointer_to
from ..transport.connections import Connections
from ..transport.exchanges import Reply, exchange
from ..transport.failures import PROXY_REFUSED
from ..transport.origins import Origins
from ..transport.requests import USER_AGENT, http_request
from . import notification as notifications
from .base import BasePushBackend, Message, Target
from .notification import merged
from .options import missing_extra, require_positive
from .outcomes import Outcome, OutcomeClass, storable_id
from .subscriptions import KEPT, NoSubscription, Subscription, endpoint_of
from .vapid import Vapid
from .webpush_answers import ROWS, is_windows, reason_of

#: Bytes; RFC 8291, section 4: 4,096 less the header (86), the padding delimiter and the tag (17).
MAX_PAYLOAD: Final = 3_993
#: Seconds; four weeks, the longest that push services keep a message.
MAX_TTL: Final = 2_419_200
#: The push services of the common browsers: hosts, and domains with all their hosts.
PUSH_SERVICES: Final = (
    "fcm.googleapis.com",
    "push.services.mozilla.com",
    "push.apple.com",
    "notify.windows.com",
)

_RECORD_SIZE = 4_096
#: RFC 8030, section 5.4.
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
#: The headers that a message may set, and their syntax.
_HEADERS = {
    "TTL": re.compile(r"[0-9]{1,8}"),
    "Urgency": re.compile(r"very-low|low|normal|high"),
    "Topic": _TOPIC,
}

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class WebPushBackend(BasePushBackend):
    """Encrypts each message for one browser and posts it to the endpoint of its subscription.

    The address is a subscription as the browser serializes it: ``JSON.stringify(subscription)``.

    :param private_key: the VAPID key, see ``manage.py pushjobs_vapid``.
    :param subject: whom a push service can contact: ``mailto:`` or ``https:`` with a public host.
    :param ttl: seconds that a message without an expiry is kept for a browser that is offline.
    :param max_payload: bytes that a message may have before it is encrypted; where Mozilla bridges
        to phones, they accept 2,744.
    :param connect_timeout: seconds to connect to one address of a push service.
    :param timeout: seconds for one push.
    :param connections: maximum number of connections per process to one push service.
    :param origins: maximum number of push services that a process keeps connections to.
    :param push_services: hosts, and domains with all their hosts, that are trusted when they say
        that our key or our settings are wrong. Anybody can subscribe with an endpoint of their own:
        if another host says so, the delivery fails, and the backend is not paused.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param proxy: URL of the proxy to go through, or ``"environment"``.
    :param answers: what answers mean if that differs, see :class:`.answers.Answers`.
    :raises ValueError: an option is wrong, or http-ece or py-vapid is not installed.
    """

    provider_name = "the push service"
    answer_rows = ROWS

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
        proxy: str | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(alias=alias, answers=answers)
        try:
            import http_ece
        except ImportError as error:
            raise missing_extra("webpush", error) from error
        require_positive(
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
        self.timeout: float = timeout
        self.max_payload: int = max_payload
        self._ttl = ttl
        self._vapid = Vapid(private_key, subject)
        self._origins = Origins(
            size=origins,
            connections=connections,
            connect_timeout=connect_timeout,
            ca_file=ca_file,
            proxy=proxy,
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

    def problem_with(self, address: str) -> str | None:
        try:
            self._subscription(address)
        except DestinationRefused as refused:
            return f"has an endpoint that may not be posted to: {refused.detail}"
        except NoSubscription as problem:
            return str(problem)
        return None

    def canonical(self, address: str) -> str:
        """Return the endpoint of a subscription."""
        return endpoint_of(address)

    def origin_of(self, address: str) -> str | None:
        """Return the push service of a subscription, as the option ``push_services`` names it."""
        try:
            host = urlsplit(self._subscription(address).origin).hostname or ""
        except (NoSubscription, DestinationRefused):
            return None
        return self._push_service(host)

    def push(self, message: Message, target: Target) -> Outcome:
        plain = _to_json(payload(message, target)).encode()
        if len(plain) > self.max_payload:
            return Outcome(
                kind=OutcomeClass.FAIL,
                code="payload_too_large",
                detail=f"the payload has {len(plain)} bytes, but Web Push accepts at most "
                f"{self.max_payload}",
            )
        try:
            subscription = self._subscription(target.address)
            authorization = self._vapid.authorization(subscription.origin)
        except DestinationRefused as refused:
            return self._refused(refused)
        except NoSubscription:
            return self.answers.outcome("bad_subscription")
        connections = self._origins[subscription.origin]
        host = connections.host
        head = headers(message, target, ttl=self._ttl)
        if not int(head["TTL"]) and is_windows(host):
            # Unless told otherwise it keeps messages, and refuses a TTL that says it must not.
            head["X-WNS-Cache-Policy"] = "no-cache"
        body = encrypt(plain, subscription, self._encrypt)
        try:
            reply = self._post(connections, subscription, authorization, head, body)
            reason = reason_of(reply.answer, reply.body, host)
            renews = reply.answer != 201 and self.answers.row(reply.answer, reason).renews
            if renews and self._vapid.renew(subscription.origin, authorization):
                # The clock may have been wrong when the token was made.
                authorization = self._vapid.authorization(subscription.origin)
                reply = self._post(connections, subscription, authorization, head, body)
                reason = reason_of(reply.answer, reply.body, host)
        except DestinationRefused as refused:
            return self._refused(refused)
        outcome = self.answers.outcome(
            reply.answer,
            reason,
            # The URL of the message at the push service.
            provider_id=storable_id(reply.header("location")),
            retry_after=reply.retry_after,
        )
        if (
            outcome.kind is OutcomeClass.CONFIG
            and reply.failure != PROXY_REFUSED
            and self._push_service(host) is None
        ):
            # Nobody vouches for it.
            return replace(outcome, kind=OutcomeClass.FAIL)
        return outcome

    def close(self) -> None:
        self._origins.close()

    def _push_service(self, host: str) -> str | None:
        """Return the one of ``push_services`` that ``host`` belongs to."""
        names = self._push_services
        return next((name for name in names if host == name or host.endswith(f".{name}")), None)

    def _refused(self, refused: DestinationRefused) -> Outcome:
        return self.answers.outcome("unresolvable" if refused.transient else "forbidden_endpoint")

    def _post(
        self,
        connections: Connections,
        subscription: Subscription,
        authorization: str,
        own: Mapping[str, str],
        body: bytes,
    ) -> Reply:
        head = {
            "User-Agent": USER_AGENT,
            "Authorization": authorization,
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            **own,
        }
        request = http_request(subscription.path, subscription.authority, head, body)
        return exchange(
            connections, request, timeout=self.timeout, max_response=4_096, idempotent=True
        )


#: For measuring a payload before there is an address.
_SOMEWHERE = Target(delivery_id=notifications.NO_DELIVERY, address="")


def encrypt(plain: bytes, subscription: Subscription, library: Any) -> bytes:
    """Return ``plain`` as one record that only the browser can read (RFC 8291, RFC 8188).

    Salt and sender's key are new for every message: a pair must never encrypt two records.

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
    """Return what ``event.data.json()`` returns in the service worker.

    ::

        {"web_push": 8030, "id": "…", "app_badge": 3,
         "notification": {"title": "…", "body": "…", "navigate": "…", "image": "…", "tag": "…",
                          "data": {…}}}

    This is a declarative push message (https://w3c.github.io/push-api/#declarative-push-message),
    which some browsers show by themselves, if it has what they need: a title and a URL to navigate
    to. Only then does it have the member ``web_push``. A message with nothing to show has its
    ``data`` beside the ``id``, which is that of the delivery, the same at every attempt.
    """
    notification = notifications.read(message, "webpush")
    wire: dict[str, Any] = {"id": str(target.delivery_id)}
    if notification.badge is not None:
        wire["app_badge"] = notification.badge
    if notification.is_silent:
        if message.data:
            wire["data"] = dict(message.data)
    else:
        shown = {
            "title": message.title,
            "body": message.body,
            "navigate": notification.click_action,
            "image": notification.image,
            # A repeat replaces the first.
            "tag": message.collapse_key or wire["id"],
            "data": dict(message.data),
        }
        wire["notification"] = {name: value for name, value in shown.items() if value}
        if message.title and notification.click_action:
            wire["web_push"] = 8030
    over = {
        name: notification.override[name] for name in notification.override if name != "headers"
    }
    return merged(wire, over)


def headers(message: Message, target: Target, *, ttl: int) -> dict[str, str]:
    """Return TTL, Urgency and Topic (RFC 8030, section 5).

    :param ttl: seconds, if the message does not expire.
    """
    notification = notifications.read(message, "webpush")
    own = {
        "TTL": str(notification.ttl(default=ttl, cap=MAX_TTL)),
        "Urgency": message.priority
        if _HEADERS["Urgency"].fullmatch(message.priority)
        else "normal",
        # A repeat replaces the first if that still waits for the browser.
        "Topic": topic(message.collapse_key) or _base64url(target.delivery_id.bytes),
    }
    given = notification.override.get("headers")
    if isinstance(given, Mapping):
        own |= {name: str(given[name]) for name in given if not _header_problem(name, given[name])}
        own["TTL"] = str(int(own["TTL"]))
    return own


def topic(collapse_key: str) -> str:
    """Return a collapse key as a Topic (RFC 8030, section 5.4): a digest if it is not valid."""
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
            where = pointer_to("options", "webpush", "headers", name)
            yield FieldError(where, problem, "invalid_header")


def _header_problem(name: str, value: Any) -> str | None:
    form = _HEADERS.get(name)
    if form is None:
        return f"is not one of {', '.join(_HEADERS)}"
    if not form.fullmatch(str(value)):
        return "is not a valid value of this header"
    if name == "TTL" and int(value) > MAX_TTL:
        # Push services refuse it in the same way as they refuse our credentials.
        return f"is more than {MAX_TTL} seconds"
    return None
