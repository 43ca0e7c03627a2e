"""Retry and cancel push requests for an operator: through services, explaining each refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from .. import services
from ..exceptions import InvalidTransition
from ..models import PushRequest
from ..states import ACTIVE, RETRYABLE, Status
from .base import Operation

#: Requests that one action changes at most, so that its response does not time out.
LIMIT: Final = 1_000
#: Refusals that are listed one by one.
TOLD: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOperation(Operation):
    """An operation on push requests.

    :param perform: the service.
    :param refused: a sentence with ``%(request)s`` and ``%(status)s``.
    """

    perform: Callable[[UUID], PushRequest]
    refused: str | Promise


RETRY: Final = RequestOperation(
    name="retry",
    label=gettext_lazy("Retry"),
    perform=services.retry,
    log_entry=gettext_lazy("Requested a retry."),
    done=ngettext_lazy(
        "%(count)d push request will be pushed again.",
        "%(count)d push requests will be pushed again.",
        "count",
    ),
    refused=gettext_lazy(
        "%(request)s is %(status)s: only failed or partial requests can be retried."
    ),
)

CANCEL: Final = RequestOperation(
    name="cancel",
    label=gettext_lazy("Cancel this request"),
    perform=services.cancel,
    log_entry=gettext_lazy("Requested cancellation."),
    done=ngettext_lazy(
        "%(count)d push request was canceled.",
        "%(count)d push requests were canceled.",
        "count",
    ),
    refused=gettext_lazy("%(request)s is %(status)s: it has already ended."),
)

OPERATIONS: Final = {operation.name: operation for operation in (RETRY, CANCEL)}


@dataclass(slots=True)
class Report:
    """The requests that an operation changed, and what to tell the operator."""

    operation: RequestOperation
    changed: list[PushRequest] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    is_cut: bool = False

    def successes(self) -> list[str]:
        """Return sentences about what was done."""
        in_flight = sum(row.status == Status.RUNNING for row in self.changed)
        sentences = []
        if done := len(self.changed) - in_flight:
            sentences.append(str(self.operation.done % {"count": done}))
        if in_flight:
            sentences.append(
                ngettext(
                    "%(count)d push request is running: its current attempt will finish, and no "
                    "further attempt will be made.",
                    "%(count)d push requests are running: their current attempts will finish, and "
                    "no further attempt will be made.",
                    in_flight,
                )
                % {"count": in_flight}
            )
        return sentences

    def warnings(self) -> list[str]:
        """Return sentences about what was not done."""
        sentences = self.refusals[:TOLD]
        if (more := len(self.refusals) - TOLD) > 0:
            sentences.append(
                ngettext(
                    "%(count)d more request was refused.",
                    "%(count)d more requests were refused.",
                    more,
                )
                % {"count": more}
            )
        if self.is_cut:
            sentences.append(
                _("Only the first %(limit)d were processed. Run the action again for the rest.")
                % {"limit": LIMIT}
            )
        return sentences


def operate(operation: RequestOperation, ids: Iterable[UUID]) -> Report:
    """Perform ``operation`` on up to ``LIMIT`` requests. A refusal does not stop the others."""
    report = Report(operation)
    for count, request_id in enumerate(ids):
        if count == LIMIT:
            report.is_cut = True
            break
        try:
            report.changed.append(operation.perform(request_id))
        except InvalidTransition as refusal:
            names = {"request": request_id, "status": Status(refusal.status).label}
            report.refusals.append(str(operation.refused) % names)
        except PushRequest.DoesNotExist:
            report.refusals.append(_("%(request)s no longer exists.") % {"request": request_id})
    return report


def operations_for(request: PushRequest) -> list[RequestOperation]:
    """Return the operations that make sense for ``request`` now; the service decides."""
    if request.status in RETRYABLE:
        return [RETRY]
    if request.status in ACTIVE and request.cancel_requested_at is None:
        return [CANCEL]
    return []
