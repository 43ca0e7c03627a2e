"""The errors this package raises on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.core.exceptions import ImproperlyConfigured


class ConfigurationError(ImproperlyConfigured):
    """A setting is wrong; only a human can mend it, so it stands outside the tree below."""


class PushJobsError(Exception):
    """The base of every error that a caller of this package may want to catch."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with one field.

    :param pointer: JSON pointer (RFC 6901) to the field, such as ``/recipients/3``.
    :param detail: a sentence for the person who sent it.
    :param code: a word for the program that sent it, such as ``too_long``.
    """

    pointer: str
    detail: str
    code: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class InvalidPushRequest(PushJobsError):
    """What was submitted cannot be accepted; ``errors`` names every field at fault."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.pointer or '/'}: {e.detail}" for e in self.errors))


class SecretUnreadable(PushJobsError):
    """A stored secret was encrypted under a SECRET_KEY that is not known any more."""


class DestinationRefused(PushJobsError):
    """A URL may not be posted to.

    :param code: a word for programs: ``invalid_url``, ``https_required``, ``credentials``,
        ``numeric_host``, ``unresolvable``, ``forbidden_address``.
    :param detail: a sentence for people.
    :param transient: whether it may look different in a while.
    """

    def __init__(self, code: str, detail: str, *, transient: bool = False) -> None:
        self.code = code
        self.detail = detail
        self.transient = transient
        super().__init__(detail)


class InvalidCallbackEndpoint(PushJobsError):
    """A callback endpoint cannot be registered or changed; ``errors`` names every field."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.pointer or '/'}: {e.detail}" for e in self.errors))


class InvalidDevice(PushJobsError):
    """A device cannot be registered; ``errors`` names every field at fault."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.pointer or '/'}: {e.detail}" for e in self.errors))


class InvalidTransition(PushJobsError):
    """The push request is in a state that does not allow this; ``status`` says which."""

    def __init__(self, action: str, status: str) -> None:
        self.action = action
        self.status = status
        super().__init__(f"cannot {action} a push request that is {status}")


class LimitExceeded(PushJobsError):
    """A limit of the client has too little left.

    :param violated: names of the limits.
    :param retry_after: seconds until it may go again; None where it never does, as it asks for
        more than the limit is.
    """

    def __init__(self, violated: Sequence[str], detail: str, retry_after: float | None) -> None:
        self.violated = tuple(violated)
        self.detail = detail
        self.retry_after = retry_after
        super().__init__(detail)
