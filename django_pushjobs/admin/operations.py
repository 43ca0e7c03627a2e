"""Retry and cancel, as an operator asks for them: through services, with a word on each refusal."""

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

#: Requests one action changes at most, so that its answer does not time out.
LIMIT: Final = 1_000
#: Refusals that are told one by one.
TOLD: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something an operator may do with a push request.

    :param name: in URLs and names of actions.
    :param perform: the service.
    :param log_entry: what the history of the request says.
    :param done: a sentence with ``%(count)d``.
    :param refused: a sentence with ``%(request)s`` and ``%(status)s``.
    """

    name: str
    perform: Callable[[UUID], PushRequest]
    log_entry: str | Promise
    done: Promise
    refused: str | Promise


RETRY: Final = Operation(
    name="retry",
    perform=services.retry,
    log_entry=gettext_lazy("Asked for a retry."),
    done=ngettext_lazy(
        "%(count)d push request will be pushed again.",
        "%(count)d push requests will be pushed again.",
        "count",
    ),
    refused=gettext_lazy(
        "%(request)s is %(status)s: only what failed, or failed in part, can be retried."
    ),
)

CANCEL: Final = Operation(
    name="cancel",
    perform=services.cancel,
    log_entry=gettext_lazy("Asked to cancel."),
    done=ngettext_lazy(
        "%(count)d push request was canceled.",
        "%(count)d push requests were canceled.",
        "count",
    ),
    refused=gettext_lazy("%(request)s is %(status)s: it ended already and cannot be canceled."),
)


@dataclass(slots=True)
class Report:
    """What became of an operation: the requests it changed, and what to tell the operator."""

    operation: Operation
    changed: list[PushRequest] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    is_cut: bool = False

    def successes(self) -> list[str]:
        """Sentences on what was done."""
        in_flight = sum(row.status == Status.RUNNING for row in self.changed)
        sentences = []
        if done := len(self.changed) - in_flight:
            sentences.append(str(self.operation.done % {"count": done}))
        if in_flight:
            sentences.append(
                ngettext(
                    "%(count)d push request is running: what is in flight ends, and no further "
                    "attempt is made.",
                    "%(count)d push requests are running: what is in flight ends, and no further "
                    "attempt is made.",
                    in_flight,
                )
                % {"count": in_flight}
            )
        return sentences

    def warnings(self) -> list[str]:
        """Sentences on what was not done."""
        sentences = self.refusals[:TOLD]
        if (more := len(self.refusals) - TOLD) > 0:
            sentences.append(
                ngettext("%(count)d more was refused.", "%(count)d more were refused.", more)
                % {"count": more}
            )
        if self.is_cut:
            sentences.append(
                _("Only the first %(limit)d were looked at; run the action again for the rest.")
                % {"limit": LIMIT}
            )
        return sentences


def operate(operation: Operation, ids: Iterable[UUID]) -> Report:
    """Perform ``operation`` on up to ``LIMIT`` requests, whatever becomes of the others."""
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
            report.refusals.append(_("%(request)s is gone.") % {"request": request_id})
    return report


def operations_for(request: PushRequest) -> list[Operation]:
    """Return what makes sense for ``request`` as it stands; the service has the last word."""
    if request.status in RETRYABLE:
        return [RETRY]
    if request.status in ACTIVE and request.cancel_requested_at is None:
        return [CANCEL]
    return []
