"""Problems as RFC 9457 defines them, and the types of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, NamedTuple

MEDIA_TYPE: Final = "application/problem+json"


class ProblemType(NamedTuple):
    """A kind of problem that programs can tell apart."""

    uri: str
    title: str


def _ours(name: str, title: str) -> ProblemType:
    return ProblemType(f"urn:problem-type:pushjobs:{name}", title)


def _registered(name: str, title: str) -> ProblemType:
    """Return a type that the IETF draft "RateLimit header fields for HTTP" (-11) registers."""
    return ProblemType(f"https://iana.org/assignments/http-problem-types#{name}", title)


INVALID_PUSH_REQUEST: Final = _ours("invalid-push-request", "Invalid push request")
INVALID_DEVICE: Final = _ours("invalid-device", "Invalid device")
INVALID_CALLBACK_ENDPOINT: Final = _ours("invalid-callback-endpoint", "Invalid callback endpoint")
INVALID_PARAMETER: Final = _ours("invalid-parameter", "Invalid parameter")
IDEMPOTENCY_KEY_REUSED: Final = _ours("idempotency-key-reused", "Idempotency-Key is already used")
IDEMPOTENCY_IN_PROGRESS: Final = _ours("idempotency-in-progress", "Still in progress")
INVALID_STATE: Final = _ours("invalid-state", "Not in this state")
INSUFFICIENT_SCOPE: Final = _ours("insufficient-scope", "Insufficient scope")
QUOTA_EXCEEDED: Final = _registered("quota-exceeded", "Quota exceeded")
REDUCED_CAPACITY: Final = _registered("temporary-reduced-capacity", "Temporary reduced capacity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong with one call.

    :param type: None if the status says it all (``about:blank``).
    :param errors: each with ``pointer`` (RFC 6901, into the body) or ``parameter`` (of the query,
        or a header), ``detail`` and ``code``.
    :param members: what this type of problem has beyond RFC 9457.
    :param headers: of the response.
    """

    status: int
    detail: str
    type: ProblemType | None = None
    errors: Sequence[Mapping[str, str]] = ()
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the members of RFC 9457, without ``instance``."""
        uri, title = self.type or ("about:blank", HTTPStatus(self.status).phrase)
        members: dict[str, Any] = {
            "type": uri,
            "title": title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        if self.errors:
            members["errors"] = [dict(error) for error in self.errors]
        return members
