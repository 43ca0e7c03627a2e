"""Firebase Cloud Messaging, HTTP v1: phones with Android, and whatever else Firebase reaches."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from ..exceptions import FieldError, pointer_to
from ..transport.connections import Connections
from ..transport.exchanges import exchange
from ..transport.requests import USER_AGENT
from . import notification as notifications
from .base import BasePushBackend, Message, Target, payload_size
from .fcm_account import ServiceAccount
from .fcm_answers import ROWS, reason_of
from .notification import Notification, merged
from .options import require_positive
from .outcomes import Outcome, OutcomeClass, storable_id
from .shared_token import SharedToken, TokenUnavailable

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
#: Seconds; https://firebase.google.com/docs/cloud-messaging/concept-options#ttl
MAX_TTL: Final = 2_419_200
#: Bytes; https://firebase.google.com/docs/cloud-messaging/customize-messages/set-message-type
MAX_PAYLOAD: Final = 4_096
MAX_TOPIC_PAYLOAD: Final = 2_048

#: What a key of data must not be: https://firebase.google.com/docs/cloud-messaging/send/v1-api
_RESERVED = re.compile(r"from|message_type|(?:google|gcm).*", re.IGNORECASE | re.DOTALL)
#: What APNs says of a topic.
_TOPICS = frozenset({"DeviceTokenNotForTopic", "BadTopic", "MissingTopic", "TopicDisallowed"})
_PROJECT = re.compile(r"[a-z0-9][a-z0-9:.-]{2,62}")
_ADDRESSES = frozenset({"token", "topic", "condition"})
#: FCM documents no syntax; it has always been printable ASCII without blanks.
_TOKEN = re.compile(r"[!-~]+")

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class FCMBackend(BasePushBackend):
    """Sends each message to one registration token, topic or condition.

    The address is a registration token, ``topic:news`` or ``condition:'a' in topics``.

    :param credentials: the key file of a service account, or its content as a dict.
    :param project: id of the Firebase project, if it is not that of the credentials.
    :param validate_only: Firebase validates the messages and sends none.
    :param ttl: seconds that a message without an expiry is kept for a device that is offline.
    :param url: origin of the API.
    :param connect_timeout: seconds to connect to one address of the API.
    :param timeout: seconds for one whole request; Firebase recommends at least 10.
    :param connections: maximum number of connections per process; further pushes wait for one.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param proxy: URL of the proxy to go through, or ``"environment"``.
    :param answers: what answers mean if that differs, see :class:`.answers.Answers`.
    :raises ValueError: an option is wrong, or google-auth is not installed.
    """

    provider_name = "FCM"
    answer_rows = ROWS
    max_payload = MAX_PAYLOAD

    def __init__(
        self,
        *,
        alias: str,
        credentials: str | Mapping[str, Any],
        project: str = "",
        validate_only: bool = False,
        ttl: int = MAX_TTL,
        url: str = "https://fcm.googleapis.com",
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
        connections: int = 1_000,
        ca_file: str | None = None,
        proxy: str | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(alias=alias, answers=answers)
        require_positive(connect_timeout=connect_timeout, timeout=timeout, connections=connections)
        if not isinstance(ttl, int) or not 0 <= ttl <= MAX_TTL:
            raise ValueError(f"ttl must be from 0 to {MAX_TTL} seconds")
        self.timeout: float = timeout
        self._ttl = ttl
        self._validate_only = bool(validate_only)
        self._account = ServiceAccount(
            credentials,
            scope=SCOPE,
            answers=self.answers,
            connect_timeout=connect_timeout,
            timeout=timeout,
            ca_file=ca_file,
            proxy=proxy,
        )
        project = project or self._account.project
        if not _PROJECT.fullmatch(project):
            raise ValueError("project must be the id of a Firebase project")
        self.token = SharedToken(self._account.fetch)
        self._api = Connections(
            f"{url.rstrip('/')}/v1/projects/{project}/messages:send",
            size=connections,
            connect_timeout=connect_timeout,
            ca_file=ca_file,
            proxy=proxy,
        )
        self._head = (
            f"POST {self._api.path} HTTP/1.1\r\nHost: {self._api.authority}\r\n"
            f"User-Agent: {USER_AGENT}\r\nContent-Type: application/json\r\n"
        )

    def validate(self, message: Message) -> list[FieldError]:
        errors = [
            *notifications.errors(message.options),
            *_data_errors(message.data, "data"),
            *_override_errors(message.options),
        ]
        if errors:
            return errors
        size = _size(wire_format(message, _SOMEWHERE, ttl=self._ttl))
        if size > MAX_PAYLOAD:
            return [notifications.too_large(message, size, MAX_PAYLOAD, self.alias)]
        return []

    def problem_with(self, address: str) -> str | None:
        kind, value = next(iter(_address(address).items()))
        # A token that looks like a topic would have the same canonical form.
        if kind == "token" and not (_TOKEN.fullmatch(value) and _address(value) == {kind: value}):
            return "is not a registration token"
        return None

    def reaches_many(self, address: str) -> bool:
        """Return whether it is a topic or a condition."""
        return "token" not in _address(address)

    def canonical(self, address: str) -> str:
        """Return a token without ``token:``, which may stand before it."""
        return address.removeprefix("token:")

    def push(self, message: Message, target: Target) -> Outcome:
        wire = wire_format(message, target, ttl=self._ttl)
        limit = MAX_PAYLOAD if "token" in wire else MAX_TOPIC_PAYLOAD
        if (size := _size(wire)) > limit:
            return Outcome(
                kind=OutcomeClass.FAIL,
                code="payload_too_large",
                detail=f"the payload has {size} bytes, but FCM accepts at most {limit}",
            )
        call = {"validate_only": True} if self._validate_only else {}
        body = _to_json({**call, "message": wire}).encode()
        try:
            outcome = self._send(body)
        except TokenUnavailable as failure:
            return failure.outcome
        if outcome.kind is OutcomeClass.CONFIG and outcome.code in _TOPICS and _has_topic(wire):
            # The message has brought a topic of its own: nobody else is concerned.
            return replace(outcome, kind=OutcomeClass.FAIL)
        return outcome

    def close(self) -> None:
        self._api.close()
        self._account.close()

    def _send(self, body: bytes, *, again: bool = True) -> Outcome:
        token = self.token.get()
        head = f"{self._head}Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        reply = exchange(
            self._api,
            head.encode("latin-1") + body,
            timeout=self.timeout,
            max_response=16_384,
            idempotent=True,
        )
        if reply.answer == 200:
            return self.answers.outcome(200, provider_id=_name(reply.body))
        reason, fields = reason_of(reply.answer, reply.body)
        if self.answers.row(reply.answer, reason).renews and again and self.token.refuse(token):
            return self._send(body, again=False)
        return self.answers.outcome(
            reply.answer,
            reason,
            retry_after=reply.retry_after,
            detail=", ".join(fields),
        )


#: For measuring a payload before there is an address.
_SOMEWHERE = Target(delivery_id=notifications.NO_DELIVERY, address="")


def wire_format(message: Message, target: Target, *, ttl: int = MAX_TTL) -> dict[str, Any]:
    """Return the resource ``Message`` of the HTTP v1 API.

    https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages

    :param ttl: seconds, if the message does not expire.
    """
    notification = notifications.read(message, "fcm")
    shown = {"title": message.title, "body": message.body, "image": notification.image}
    wire: dict[str, Any] = {
        **_address(target.address),
        "data": {name: _text(value) for name, value in message.data.items()},
        "notification": _without_empty(shown),
        "android": _android(notification, target, ttl),
        "apns": _apns(notification, target),
        "webpush": _webpush(notification, target, ttl),
    }
    # A message must not change its address.
    over = {
        name: notification.override[name]
        for name in notification.override
        if name not in _ADDRESSES
    }
    return merged(_without_empty(wire), over)


def _address(address: str) -> dict[str, str]:
    kind, _, name = address.partition(":")
    return {kind: name} if kind in _ADDRESSES else {"token": address}


def _android(notification: Notification, target: Target, ttl: int) -> dict[str, Any]:
    message = notification.message
    shown: dict[str, Any] = {}
    if not notification.is_silent:
        shown = _without_empty(
            {
                # A repeat replaces the first on the device.
                "tag": message.collapse_key or str(target.delivery_id),
                "sound": notification.sound,
                "click_action": notification.click_action,
            }
        )
        if notification.badge is not None:
            shown["notification_count"] = notification.badge
    return _without_empty(
        {
            "priority": "HIGH" if message.priority == "high" else "NORMAL",
            "ttl": f"{notification.ttl(default=ttl, cap=MAX_TTL)}s",
            "collapse_key": message.collapse_key,
            "notification": shown,
        }
    )


def _apns(notification: Notification, target: Target) -> dict[str, Any]:
    message = notification.message
    headers = {
        "apns-priority": "5" if notification.is_silent or message.priority == "low" else "10",
        "apns-collapse-id": _short(message.collapse_key or str(target.delivery_id), 64),
    }
    if message.expires_at is not None:
        headers["apns-expiration"] = str(int(message.expires_at.timestamp()))
    aps = _without_empty({"sound": notification.sound, "category": notification.click_action})
    if notification.badge is not None:
        aps["badge"] = notification.badge
    if notification.is_silent:
        aps["content-available"] = 1
        headers["apns-push-type"] = "background"
    if notification.image:
        aps["mutable-content"] = 1
    return {"headers": headers, **({"payload": {"aps": aps}} if aps else {})}


def _webpush(notification: Notification, target: Target, ttl: int) -> dict[str, Any]:
    message = notification.message
    wire: dict[str, Any] = {
        "headers": {
            "TTL": str(notification.ttl(default=ttl, cap=MAX_TTL)),
            "Urgency": message.priority,
        }
    }
    if not notification.is_silent:
        wire["notification"] = {"tag": message.collapse_key or str(target.delivery_id)}
    if notification.click_action.startswith("https://"):
        wire["fcm_options"] = {"link": notification.click_action}
    return wire


def _has_topic(wire: Mapping[str, Any]) -> bool:
    """Return whether a message says to APNs which app it is for; otherwise Firebase does."""
    apns = wire.get("apns")
    headers = apns.get("headers") if isinstance(apns, Mapping) else None
    return isinstance(headers, Mapping) and any(name.lower() == "apns-topic" for name in headers)


def _size(wire: Mapping[str, Any]) -> int:
    """Return the size in bytes of the payload: what is for the device, not for the providers."""
    return payload_size({name: wire[name] for name in ("notification", "data") if name in wire})


def _data_errors(data: Mapping[str, Any], *path: str) -> Iterator[FieldError]:
    for name in data:
        if _RESERVED.fullmatch(name):
            yield FieldError(pointer_to(*path, name), "is a name that FCM reserves", "reserved")


def _override_errors(options: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield the names of data that FCM reserves in what is passed through."""
    given = options.get("fcm")
    for path in (("data",), ("android", "data"), ("webpush", "data")):
        data = given
        for name in path:
            data = data.get(name) if isinstance(data, Mapping) else None
        if isinstance(data, Mapping):
            yield from _data_errors(data, "options", "fcm", *path)


def _text(value: Any) -> str:
    """Return a value of data as a string, because FCM accepts nothing else: JSON if it is none."""
    return value if isinstance(value, str) else _to_json(value)


def _short(text: str, limit: int) -> str:
    """Return ``text``, or a digest of it if it has more than ``limit`` bytes."""
    if len(text.encode()) <= limit:
        return text
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()[:limit]


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", {}, None)}


def _name(body: bytes) -> str:
    """Return the name that FCM gave to the message, or ""."""
    try:
        return storable_id(json.loads(body)["name"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
