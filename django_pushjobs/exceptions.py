"""The errors this package raises on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from django.core.exceptions import ImproperlyConfigured

#: Errors of one thing that are looked for; a body of a few megabytes can hold a million.
MAX_ERRORS: Final = 100
#: Characters of a name that a pointer repeats.
_MAX_TOKEN: Final = 64


class ConfigurationError(ImproperlyConfigured):
    """A setting is wrong; only a human can fix it, so it is not part of the tree below."""


class PushJobsError(Exception):
    """The base of every error that a caller of this package may want to catch."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with one field.

    :param pointer: JSON pointer (RFC 6901) to the field, such as ``/recipients/3``; see
        :func:`pointer_to`.
    :param detail: a sentence for the person who sent it.
    :param code: a word for the program that sent it, such as ``too_long``.
    """

    pointer: str
    detail: str
    code: str

    def below(self, pointer: str) -> FieldError:
        """Return this error as one of a larger document, which has the whole at ``pointer``."""
        return replace(self, pointer=pointer + self.pointer)

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def pointer_to(*tokens: str | int) -> str:
    """Return the JSON pointer (RFC 6901, section 3) to a member or an item.

    Names may come from a third party: what UTF-8 cannot express (half of a surrogate pair) becomes
    a question mark, and a long name is cut off.

    :param tokens: names of members and indexes of items, from the outside in.
    """
    return "".join(f"/{_token(str(token))}" for token in tokens)


def _token(name: str) -> str:
    printable = name[:_MAX_TOKEN].encode(errors="replace").decode()
    return printable.replace("~", "~0").replace("/", "~1")


class Invalid(PushJobsError):
    """What was handed in breaks a rule; ``errors`` names every field at fault, or at least
    :data:`MAX_ERRORS` of them."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.pointer or '/'}: {e.detail}" for e in self.errors))


class InvalidPushRequest(Invalid):
    """A push request cannot be accepted."""


class InvalidCallbackEndpoint(Invalid):
    """A callback endpoint cannot be registered or changed."""


class InvalidDevice(Invalid):
    """A device cannot be registered."""


class ProofRequired(PushJobsError):
    """The address is in use by another user, and the caller has not proved that it is theirs.

    :param device_id: of the device, which stays as it is.
    :param backend: the alias that reaches the address.
    :param code: push it to the address; it proves that the caller holds it.
    """

    def __init__(self, device_id: int, backend: str, code: str) -> None:
        self.device_id = device_id
        self.backend = backend
        self.code = code
        super().__init__("this address is in use by another user")


class InvalidTransition(PushJobsError):
    """The push request is in a state that does not allow this; ``status`` says which."""

    def __init__(self, action: str, status: str) -> None:
        self.action = action
        self.status = status
        super().__init__(f"cannot {action} a push request that is {status}")


class LimitExceeded(PushJobsError):
    """The client has used up one of its limits.

    :param violated: names of the limits.
    :param detail: a sentence for people.
    :param retry_after: seconds until a retry may succeed; None if it never can, because the call
        asks for more than the whole limit.
    """

    def __init__(self, violated: Sequence[str], detail: str, retry_after: float | None) -> None:
        self.violated = tuple(violated)
        self.detail = detail
        self.retry_after = retry_after
        super().__init__(detail)


class DestinationRefused(PushJobsError):
    """We do not post to this URL.

    :param code: a word for programs: ``invalid_url``, ``https_required``, ``credentials``,
        ``numeric_host``, ``unresolvable``, ``forbidden_address``.
    :param detail: a sentence for people.
    :param transient: whether the answer may be different in a while.
    """

    def __init__(self, code: str, detail: str, *, transient: bool = False) -> None:
        self.code = code
        self.detail = detail
        self.transient = transient
        super().__init__(detail)


class SecretUnreadable(PushJobsError):
    """A stored secret was encrypted with a ``SECRET_KEY`` that is no longer known."""
