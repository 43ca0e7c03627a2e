"""What can go wrong; most of it is a problem that the API returned (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem as the API returns it.

    :param type: URI of the type; ``about:blank`` if the status says it all.
    :param errors: each with ``pointer`` or ``parameter``, ``detail`` and ``code``.
    :param request_id: with which the operator finds the call in the log.
    :param members: all of them, including those that only some types have.
    """

    status: int
    type: str = "about:blank"
    title: str = ""
    detail: str = ""
    errors: Sequence[Mapping[str, str]] = ()
    request_id: str = ""
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, status: int, members: Any) -> Problem:
        """Read a problem; anything else, such as the page of a proxy, is one with only a status."""
        if not isinstance(members, dict):
            return cls(status)
        return cls(
            status=status,
            type=str(members.get("type", "about:blank")),
            title=str(members.get("title", "")),
            detail=str(members.get("detail", "")),
            errors=tuple(members.get("errors", ())),
            request_id=str(members.get("request_id", "")),
            members=members,
        )

    def __str__(self) -> str:
        said = ": ".join(filter(None, [self.title, self.detail]))
        faults = "; ".join(
            f"{e.get('pointer', e.get('parameter', ''))} {e.get('detail', '')}" for e in self.errors
        )
        return f"{self.status} {said}{f' ({faults})' if faults else ''}"


class PushError(Exception):
    """The base of all errors of this client."""


class Unreachable(PushError):
    """There was no answer, even after further attempts. A submission may have been accepted: it is
    safe to repeat it with the same idempotency key."""


class ApiError(PushError):
    """The API answered with a problem.

    :param retry_after: seconds after which the call may succeed; None if the API did not say.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        self.problem = problem
        self.retry_after = retry_after
        super().__init__(str(problem))


class InvalidRequest(ApiError):
    """The call breaks a rule; nothing was stored, and ``problem.errors`` names each fault."""


class AuthenticationFailed(ApiError):
    """The key is wrong, revoked, expired, or not valid from this network."""


class Forbidden(ApiError):
    """The key lacks a scope."""


class NotFound(ApiError):
    """This client has no such push request."""


class Conflict(ApiError):
    """The state of the push request does not allow this."""


class RateLimited(ApiError):
    """A limit is exceeded; ``violated`` names those that are."""

    @property
    def violated(self) -> Sequence[str]:
        return tuple(self.problem.members.get("violated-policies", ()))


class Unavailable(ApiError):
    """The service failed (5xx)."""


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    401: AuthenticationFailed,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def error_for(problem: Problem, retry_after: float | None = None) -> ApiError:
    """Return the error to raise for ``problem``."""
    default = Unavailable if problem.status >= 500 else InvalidRequest
    return _BY_STATUS.get(problem.status, default)(problem, retry_after)
