"""Pushes to Apple devices through APNs, over HTTP/2 with token authentication."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..exceptions import FieldError, pointer_to
from ..transport.http2_errors import HTTP2Error
from ..transport.http2_exchange import Response
from ..transport.multiplexing import Multiplexer
from ..transport.retry_after import parse_retry_after
from .apns_answers import OWN_TOPIC, ROWS, TOPIC_REASONS, reason_of
from .apns_token import provider_token
from .base import BasePushBackend, Message, Target
from .notification import Notification, errors, merged, read, too_large
from .options import require_positive
from .outcomes import Outcome, OutcomeClass

PRODUCTION, SANDBOX = "api.push.apple.com", "api.sandbox.push.apple.com"
#: Bytes.
MAX_PAYLOAD: Final = 4_096
MAX_VOIP_PAYLOAD: Final = 5_120
MAX_COLLAPSE_ID: Final = 64

#: Maps our priorities to those of APNs: 10 shows the message at once, 5 considers the battery.
_PRIORITIES = {"high": "10", "normal": "10", "low": "5"}
#: Maps a push type to the suffix of its topic, see Apple's "Sending notification requests to APNs".
TOPIC_SUFFIXES: Final[Mapping[str, str]] = {
    "alert": "",
    "background": "",
    "mdm": "",
    "voip": ".voip",
    "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
    "location": ".location-query",
    "liveactivity": ".push-type.liveactivity",
    "pushtotalk": ".voip-ptt",
    "controls": ".push-type.controls",
    "widgets": ".push-type.widgets",
}
#: Each of them once; the first is that of the app itself.
_SUFFIXES = tuple(dict.fromkeys(TOPIC_SUFFIXES.values()))
#: Headers that a request may set by its options, and their syntax.
_OVERRIDES = {
    "apns-push-type": re.compile("|".join(TOPIC_SUFFIXES)),
    "apns-priority": re.compile("10|5|1"),
    "apns-expiration": re.compile("[0-9]{1,10}"),
    "apns-collapse-id": re.compile(r"[^\x00-\x1f\x7f]{1,64}"),
    "apns-topic": re.compile(r"[A-Za-z0-9.-]{1,255}"),
}
#: Device tokens are opaque bytes, hexadecimal in the path.
_TOKEN = re.compile(r"(?:[0-9A-Fa-f]{2}){1,100}")

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class APNsBackend(BasePushBackend):
    """Pushes to the device tokens of one app.

    All greenlets of a process share a few connections, and all aliases with the same key share
    its provider token. The id of a delivery is the ``apns-id``, and the collapse id if the message
    has no collapse key: a repeat replaces the first on the device.

    :param key: the private key as PEM; or ``key_file``, the path of Apple's ``AuthKey_….p8``.
    :param key_id: the id of the key.
    :param team_id: the id of the team.
    :param topic: the bundle id of the app; the suffix of a push type is added.
    :param sandbox: push to development builds.
    :param host: a host instead of Apple's.
    :param port: Apple listens on 443 and 2197.
    :param connections: maximum number of connections per process.
    :param connect_timeout: seconds to make a connection.
    :param timeout: seconds for one push, from the wait for a free stream to the answer.
    :param max_response: bytes of an answer that are read to find the reason.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param proxy: URL of the proxy to go through, or ``"environment"``.
    :param answers: what answers mean if that differs, see :class:`.answers.Answers`.
    :raises ValueError: an option is wrong.
    """

    provider_name = "APNs"
    answer_rows = ROWS
    max_payload = MAX_PAYLOAD
    timeout: float

    def __init__(
        self,
        *,
        alias: str,
        key_id: str,
        team_id: str,
        topic: str,
        key: str | None = None,
        key_file: str | Path | None = None,
        sandbox: bool = False,
        host: str | None = None,
        port: int = 443,
        connections: int = 4,
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
        max_response: int = 4_096,
        ca_file: str | None = None,
        proxy: str | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(alias=alias, answers=answers)
        for name, value in {"key_id": key_id, "team_id": team_id, "topic": topic}.items():
            if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9.-]{1,255}", value):
                raise ValueError(f"{name} must consist of letters, digits, dots and hyphens")
        if host is not None and (not isinstance(host, str) or not re.fullmatch(r"[\w.-]+", host)):
            raise ValueError("host must be a host name")
        require_positive(
            port=port,
            connections=connections,
            connect_timeout=connect_timeout,
            timeout=timeout,
            max_response=max_response,
        )
        self.topic = topic
        self.timeout = timeout
        self._token = provider_token(key=_key(key, key_file), key_id=key_id, team_id=team_id)
        self._apns = Multiplexer(
            host or (SANDBOX if sandbox else PRODUCTION),
            port,
            connections=connections,
            connect_timeout=connect_timeout,
            max_response=max_response,
            ca_file=ca_file,
            proxy=proxy,
        )

    def payload(self, message: Message) -> dict[str, Any]:
        """Return a message as the payload of APNs."""
        return _payload(read(message, "apns"))

    def validate(self, message: Message) -> list[FieldError]:
        found = [*errors(message.options), *self._override_errors(message)]
        if "aps" in message.data:
            found.append(FieldError("/data/aps", "is reserved by Apple: use options", "reserved"))
        if len(message.collapse_key.encode()) > MAX_COLLAPSE_ID:
            detail = f"has more than {MAX_COLLAPSE_ID} bytes in UTF-8"
            found.append(FieldError("/collapse_key", detail, "too_long"))
        if found:
            return found
        notification = read(message, "apns")
        payload = _payload(notification)
        size = len(_to_json(payload).encode())
        voip = _push_type(notification, payload) == "voip"
        limit = MAX_VOIP_PAYLOAD if voip else MAX_PAYLOAD
        return [too_large(message, size, limit, self.alias)] if size > limit else []

    def problem_with(self, address: str) -> str | None:
        return None if _TOKEN.fullmatch(address) else "is not a device token in hexadecimal"

    def canonical(self, address: str) -> str:
        """Return a token in lower case, as it is pushed to."""
        return address.lower()

    def push(self, message: Message, target: Target) -> Outcome:
        if not _TOKEN.fullmatch(target.address):
            return _NOT_A_TOKEN
        notification = read(message, "apns")
        payload = _payload(notification)
        headers = self._headers(notification, payload)
        collapse_id = headers.pop("apns-collapse-id", message.collapse_key)
        own = [("apns-id", str(target.delivery_id))]
        if expiration := headers.pop("apns-expiration", ""):
            own.append(("apns-expiration", expiration))
        own.append(("apns-collapse-id", collapse_id or str(target.delivery_id)))
        path, body = f"/3/device/{target.address.lower()}", _to_json(payload).encode()
        while True:
            token = self._token.current()
            try:
                response = self._apns.post(
                    path,
                    body,
                    headers=[("authorization", f"bearer {token}"), *headers.items()],
                    own=own,
                    timeout=self.timeout,
                    idempotent=True,
                )
            except HTTP2Error as error:
                return self.answers.outcome(error.word, detail=error.reason)
            reason, timestamp = reason_of(response.body)
            if reason in TOPIC_REASONS and headers["apns-topic"] != self.topic:
                reason = OWN_TOPIC
            row = self.answers.row(response.status, reason)
            # A token that was refused is not a failure yet: push again with a new one.
            if not (row.renews and self._token.renew(token)):
                return self._outcome(response, reason, timestamp, target)

    def close(self) -> None:
        self._apns.close()

    def _headers(self, notification: Notification, payload: Mapping[str, Any]) -> dict[str, str]:
        message = notification.message
        push_type = _push_type(notification, payload)
        background = push_type == "background"
        headers = {
            "apns-topic": self.topic + TOPIC_SUFFIXES[push_type],
            "apns-push-type": push_type,
            "apns-priority": "5" if background else _PRIORITIES.get(message.priority, "10"),
        }
        if message.expires_at is not None:
            headers["apns-expiration"] = str(max(0, int(message.expires_at.timestamp())))
        given = notification.override.get("headers")
        if isinstance(given, Mapping):
            headers |= {
                name: str(given[name])
                for name in given
                if not _header_problem(name, given[name], self.topic)
            }
        if background:
            headers["apns-priority"] = "5"  # anything else is refused
        return headers

    def _override_errors(self, message: Message) -> list[FieldError]:
        override = message.options.get("apns") or {}
        if not isinstance(override, Mapping):
            return []
        found = []
        headers = override.get("headers")
        if not isinstance(headers, Mapping | None):
            found.append(FieldError("/options/apns/headers", "must be an object", "invalid"))
            headers = None
        for name, value in (headers or {}).items():
            if problem := _header_problem(name, value, self.topic):
                where = pointer_to("options", "apns", "headers", name)
                found.append(FieldError(where, problem, "invalid"))
        payload = override.get("payload")
        if not isinstance(payload, Mapping | None):
            found.append(FieldError("/options/apns/payload", "must be an object", "invalid_type"))
        elif payload and not isinstance(payload.get("aps", {}), Mapping):
            where = "/options/apns/payload/aps"
            found.append(FieldError(where, "must be an object", "invalid_type"))
        return found

    def _outcome(
        self, response: Response, reason: str, timestamp: float | None, target: Target
    ) -> Outcome:
        dead_at = None
        if response.status == 410 and timestamp is not None:
            dead_at = datetime.fromtimestamp(timestamp, UTC)
        if dead_at and target.registered_at and target.registered_at >= dead_at:
            return _REGISTERED_SINCE
        headers = response.headers
        retry_after = headers.get(b"retry-after", b"").decode("latin-1")
        provider_id = headers.get(b"apns-id", b"").decode("latin-1")
        if not re.fullmatch(r"[0-9A-Fa-f-]{1,64}", provider_id):
            provider_id = str(target.delivery_id)
        outcome = self.answers.outcome(
            response.status,
            reason,
            provider_id=provider_id.lower(),
            retry_after=parse_retry_after(retry_after) if retry_after else None,
        )
        return replace(outcome, dead_at=dead_at) if dead_at else outcome


_NOT_A_TOKEN = Outcome(
    kind=OutcomeClass.FAIL, code="invalid_address", detail="the address is not a device token"
)
_REGISTERED_SINCE = Outcome(
    kind=OutcomeClass.RETRY,
    code="registered_since",
    detail="the address was registered again after APNs found it to be dead",
)


def _payload(notification: Notification) -> dict[str, Any]:
    message = notification.message
    aps: dict[str, Any] = {}
    if alert := {k: v for k, v in (("title", message.title), ("body", message.body)) if v}:
        aps["alert"] = alert
    if notification.badge is not None:
        aps["badge"] = notification.badge
    if notification.sound:
        aps["sound"] = notification.sound
    if notification.click_action:
        aps["category"] = notification.click_action
    payload: dict[str, Any] = {**message.data, "aps": aps}
    if notification.image:
        # The service extension of the app loads it.
        aps["mutable-content"] = 1
        payload.setdefault("image", notification.image)
    given = notification.override.get("payload")
    if isinstance(given, Mapping):
        payload = merged(payload, given)
    if not isinstance(payload.get("aps"), dict):
        payload["aps"] = {}
    if not _is_shown(payload["aps"]):
        payload["aps"].setdefault("content-available", 1)
    return payload


def _is_shown(aps: Mapping[str, Any]) -> bool:
    return any(name in aps for name in ("alert", "badge", "sound", "event"))


def _push_type(notification: Notification, payload: Mapping[str, Any]) -> str:
    given = notification.override.get("headers")
    push_type = given.get("apns-push-type") if isinstance(given, Mapping) else None
    if isinstance(push_type, str) and push_type in TOPIC_SUFFIXES:
        return push_type
    return "alert" if _is_shown(payload["aps"]) else "background"


def _header_problem(name: str, value: Any, topic: str) -> str | None:
    """Return why a header in an override cannot be sent, or None."""
    pattern = _OVERRIDES.get(name)
    text = str(value) if isinstance(value, str | int) else ""
    if pattern is None:
        return f"is not one of {', '.join(_OVERRIDES)}"
    if not pattern.fullmatch(text) or len(text.encode()) > 255:
        return "has a value that APNs does not accept"
    if name == "apns-collapse-id" and len(text.encode()) > MAX_COLLAPSE_ID:
        return f"has more than {MAX_COLLAPSE_ID} bytes in UTF-8"
    if name == "apns-topic" and text not in {topic + suffix for suffix in _SUFFIXES}:
        # APNs refuses any other as it refuses wrong credentials.
        return f"is not the topic of this app with one of its suffixes: {', '.join(_SUFFIXES[1:])}"
    return None


def _key(key: str | None, key_file: str | Path | None) -> str:
    if (key is None) == (key_file is None):
        raise ValueError("give either key or key_file")
    if key_file is not None:
        try:
            return Path(key_file).read_text("ascii")
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(f"key_file cannot be read: {error}") from error
    if not isinstance(key, str):
        raise ValueError("key must be a string")
    return key
