"""A message as a notification on a device, before it becomes a provider's wire format.

APNs, FCM and Web Push read a :class:`~.base.Message` in the same way. Title, body, data, priority,
collapse key and expiry have fields of their own; the rest are members of ``options``:

================  ==========================================================================
member            meaning
================  ==========================================================================
``image``         https URL of a picture
``badge``         number on the icon of the app; 0 removes it
``sound``         name of a sound of the app; ``"default"`` for that of the device
``click_action``  what a tap opens: a URL for Web Push, an intent or a category for an app
``apns``          object: passed through, see ``docs/howto/backends.rst``
``fcm``           object: passed through
``webpush``       object: passed through
================  ==========================================================================

What is passed through is merged into what we made of the message, and wins. Members for other
providers are ignored, so one request may go to any of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from ..exceptions import FieldError, pointer_to
from .base import Message, payload_too_large

#: Members of ``options`` that are passed through.
OVERRIDES: Final = ("apns", "fcm", "webpush")
MAX_TEXT: Final = 2_048
#: A delivery id for measuring a payload before there is a delivery.
NO_DELIVERY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message as the device will show it.

    :param badge: the number on the icon; None leaves it as it is.
    :param override: what is passed through to this provider.
    """

    message: Message
    image: str = ""
    badge: int | None = None
    sound: str = ""
    click_action: str = ""
    override: Mapping[str, Any]

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to show: the data is for the app alone."""
        return not (self.message.title or self.message.body or self.image)

    def ttl(self, *, default: int, cap: int) -> int:
        """Return how many seconds from now the provider may keep the message; at least 0.

        :param default: seconds, if the message does not expire.
        :param cap: seconds; the most that the provider accepts.
        """
        expires_at = self.message.expires_at
        if expires_at is None:
            return min(default, cap)
        return max(0, min(cap, int(expires_at.timestamp() - time.time())))


def read(message: Message, provider: str) -> Notification:
    """Return ``message`` as a notification for ``provider``, one of :data:`OVERRIDES`.

    Members that :func:`errors` would report are left out.
    """
    options = message.options
    wrong = {error.pointer for error in errors(options)} if options else set()
    given = {name: options[name] for name in options if f"/options/{name}" not in wrong}
    return Notification(
        message=message,
        image=given.get("image") or "",
        badge=given.get("badge"),
        sound=given.get("sound") or "",
        click_action=given.get("click_action") or "",
        override=given.get(provider) or {},
    )


def errors(options: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what is wrong with the ``options`` of a message."""
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is None:
            known = ", ".join(_CHECKS)
            yield FieldError(pointer_to("options", name), f"is not one of {known}", "unknown_field")
        elif value is not None and (problem := check(value)):
            yield FieldError(f"/options/{name}", problem[1], problem[0])


def too_large(message: Message, size: int, limit: int, alias: str) -> FieldError:
    """Return the error of a payload of ``size`` bytes, at the field that takes most of it."""
    parts = {
        "title": message.title,
        "body": message.body,
        "data": dict(message.data),
        "options": dict(message.options),
    }
    return payload_too_large(parts, size, limit, alias)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` merged in: objects member by member, null removes a member."""
    result = dict(base)
    for name, value in over.items():
        known = result.get(name)
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            result[name] = merged(known, value)
        elif value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


#: A code and a sentence, or None.
_Problem = tuple[str, str] | None


def _image(value: Any) -> _Problem:
    if problem := _text(value):
        return problem
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = None
    if parts is None or parts.scheme != "https" or not parts.netloc:
        return "invalid_url", "must be a URL that starts with https://"
    return None


def _badge(value: Any) -> _Problem:
    if not isinstance(value, int) or isinstance(value, bool):
        return "invalid_type", "must be a whole number"
    if not 0 <= value < 2**31:
        return "out_of_range", "must be from 0 to 2147483647"
    return None


def _text(value: Any) -> _Problem:
    if not isinstance(value, str):
        return "invalid_type", "must be a string"
    if len(value) > MAX_TEXT:
        return "too_long", f"has more than {MAX_TEXT} characters"
    if value and not value.isprintable():
        return "control_characters", "contains control characters"
    return None


def _object(value: Any) -> _Problem:
    return None if isinstance(value, Mapping) else ("invalid_type", "must be an object")


_CHECKS: Final[Mapping[str, Callable[[Any], _Problem]]] = {
    "image": _image,
    "badge": _badge,
    "sound": _text,
    "click_action": _text,
    **dict.fromkeys(OVERRIDES, _object),
}
