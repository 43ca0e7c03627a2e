"""What can go wrong, made from the problems of the API (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem as the API tells it.

    :param type: URI of the type; ``about:blank`` where the status says it all.
    :param errors: each with ``pointer`` or ``parameter``, ``detail`` and ``code``.
    :param request_id: by which the operator finds the call in the log.
    :param members: all of them, with those that only some types have.
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
        """Read a problem; what is none, as the page of a proxy, is one of its status alone."""
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
    """There was no answer, also after further attempts. A submission may have been accepted: with
    the same idempotency key it can be repeated safely."""


class ApiError(PushError):
    """The API answered with a problem.

    :param retry_after: seconds after which it may go well; None where nobody said.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        self.problem = problem
        self.retry_after = retry_after
        super().__init__(str(problem))


class InvalidRequest(ApiError):
    """The call breaks a rule, and nothing was stored; ``problem.errors`` names each fault."""


class AuthenticationFailed(ApiError):
    """The key is wrong, revoked, expired, or not good for this network."""


class Forbidden(ApiError):
    """The key lacks a scope."""


class NotFound(ApiError):
    """There is no such push request of this client."""


class Conflict(ApiError):
    """Its state does not allow this."""


class RateLimited(ApiError):
    """A limit is exceeded; ``violated`` names it."""

    @property
    def violated(self) -> Sequence[str]:
        return tuple(self.problem.members.get("violated-policies", ()))


class Unavailable(ApiError):
    """The service has a failure (5xx)."""


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    401: AuthenticationFailed,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def error_for(problem: Problem, retry_after: float | None = None) -> ApiError:
    """Return the error that says what ``problem`` does."""
    default = Unavailable if problem.status >= 500 else InvalidRequest
    return _BY_STATUS.get(problem.status, default)(problem, retry_after)
