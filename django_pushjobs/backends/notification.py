"""What a message is on a device, before a provider's wire format is made of it.

APNs, FCM and Web Push read a :class:`~.base.Message` in the same way. Title, body, data, priority,
collapse key and expiry have fields of their own; the rest are members of ``options``:

================  ==========================================================================
member            meaning
================  ==========================================================================
``image``         https URL of a picture
``badge``         number on the icon of the app, 0 takes it away
``sound``         name of a sound that the app brings; ``"default"`` for the device's own
``click_action``  what a tap opens: a URL for Web Push, an intent or a category for an app
``apns``          object: passed through, see ``docs/howto/backends.rst``
``fcm``           object: passed through
``webpush``       object: passed through
================  ==========================================================================

What is passed through is laid over what we made of the message, and counts where both speak. A
member for another provider is left alone, so that one request may go to any of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from ..exceptions import FieldError
from .base import Message, payload_size

#: Members of ``options`` that are passed through.
OVERRIDES: Final = ("apns", "fcm", "webpush")
MAX_TEXT: Final = 2_048
#: A delivery id to count the size of a payload with.
NO_DELIVERY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message as a device will know it.

    :param badge: None leaves the number on the icon as it is.
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
        """Return the seconds that the provider may keep it, from now; at least 0.

        :param default: where the message does not expire.
        :param cap: what the provider takes at most.
        """
        expires_at = self.message.expires_at
        if expires_at is None:
            return min(default, cap)
        return max(0, min(cap, int(expires_at.timestamp() - time.time())))


def read(message: Message, provider: str) -> Notification:
    """Return ``message`` as a notification for ``provider``, one of :data:`OVERRIDES`.

    What :func:`errors` would name is left out, never guessed at.
    """
    options = message.options
    wrong = {error.pointer for error in errors(options)} if options else set()
    told = {name: options[name] for name in options if f"/options/{name}" not in wrong}
    return Notification(
        message=message,
        image=told.get("image") or "",
        badge=told.get("badge"),
        sound=told.get("sound") or "",
        click_action=told.get("click_action") or "",
        override=told.get(provider) or {},
    )


def errors(options: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what is wrong with the ``options`` of a message, each with its pointer."""
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is None:
            known = ", ".join(_CHECKS)
            name = name.replace("~", "~0").replace("/", "~1")
            yield FieldError(f"/options/{name}", f"is not one of {known}", "unknown_field")
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
    largest = max(parts, key=lambda name: payload_size(parts[name]))
    return FieldError(
        f"/{largest}", f"the payload has {size} bytes, backend {alias!r} takes {limit}", "too_long"
    )


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid over it: objects member by member, null takes away."""
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


#: A code and a sentence.
_Problem = tuple[str, str] | None


def _image(value: Any) -> _Problem:
    if problem := _text(value):
        return problem
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = None
    if parts is None or parts.scheme != "https" or not parts.netloc:
        return "invalid_url", "must be a URL that begins with https://"
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
        return "control_characters", "holds control characters"
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
