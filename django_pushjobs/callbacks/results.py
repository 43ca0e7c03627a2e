"""What one attempt came to, and what that means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ..models import CallbackEvent


class Verdict(Enum):
    """What the endpoint's response means: for the event, and for the endpoint."""

    DELIVERED = "delivered"  #: 2xx
    GONE = "gone"  #: 410: the endpoint does not want to be called any more
    THROTTLED = "throttled"  #: 429, 502, 504: leave the endpoint alone for a while
    NO_RESPONSE = "no_response"
    REJECTED = "rejected"  #: everything else, including redirects

    @classmethod
    def of(cls, status_code: int | None) -> Verdict:
        """Return the verdict for a status; None stands for no response."""
        match status_code:
            case None:
                return cls.NO_RESPONSE
            case code if 200 <= code < 300:
                return cls.DELIVERED
            case 410:
                return cls.GONE
            case 429 | 502 | 504:
                return cls.THROTTLED
        return cls.REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """What one attempt at an event came to.

    :param status_code: None if there was no response.
    :param error_code: a word for why there was none, or why it will not do.
    :param retry_after: seconds that the endpoint asked us to wait.
    :param response: the first characters of the response body.
    :param latency: milliseconds.
    """

    event: CallbackEvent
    status_code: int | None = None
    error_code: str = ""
    retry_after: float | None = None
    response: str = ""
    started_at: datetime
    latency: int

    @property
    def verdict(self) -> Verdict:
        found = Verdict.of(self.status_code)
        return Verdict.REJECTED if found is Verdict.DELIVERED and self.error_code else found
