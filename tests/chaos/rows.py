"""What the database says of the push requests of one trial."""

from __future__ import annotations

from uuid import UUID

from django_pushjobs.models import Attempt, Delivery, PushRequest
from django_pushjobs.models.identifiers import delivery_id
from django_pushjobs.states import DeliveryStatus, Status

from .audit import Row


class Rows:
    """The push requests with one reference, each with one address."""

    def __init__(self, reference: str) -> None:
        self.requests = PushRequest.objects.filter(reference=reference)

    def read(self) -> dict[UUID, Row]:
        journals = _journals(self.requests)
        return {
            row.pk: Row(
                status=row.status,
                attempts=row.attempts,
                unknown=row.unknown,
                error_code=row.error_code,
                journal=tuple(journals.get(row.pk, ())),
            )
            for row in self.requests
        }

    def accepted(self, known: set[UUID]) -> set[UUID]:
        """Return the keys that :meth:`read` must have if these requests were accepted."""
        return known

    def deliveries(self) -> dict[str, UUID]:
        """Return for each id at the gateway the key it belongs to."""
        rows = self.requests.values_list("pk", "recipients")
        return {str(delivery_id(pk, address)): pk for pk, (address,) in rows}


class RowsOfParts(Rows):
    """Push requests with many addresses: what is looked at is each address, by its delivery."""

    def read(self) -> dict[UUID, Row]:
        parts = PushRequest.objects.filter(parent__in=self.requests)
        journals = _journals(parts)
        outcomes = {
            pk: (status, attempts)
            for pk, status, attempts in Delivery.objects.filter(
                request__in=self.requests
            ).values_list("pk", "status", "attempts")
        }
        ended = dict(self.requests.values_list("pk", "status"))
        found: dict[UUID, Row] = {}
        for part in parts:
            for address in part.recipients:
                key = delivery_id(part.parent_id, address)
                status, attempts = outcomes.get(key, ("", part.attempts))
                found[key] = Row(
                    status=_STATUSES.get(status, ended[part.parent_id]),
                    attempts=attempts,
                    unknown=int(not status or status == DeliveryStatus.UNKNOWN),
                    error_code=part.error_code if not status else "",
                    journal=tuple(journals.get(part.pk, ())),
                )
        return found

    def accepted(self, known: set[UUID]) -> set[UUID]:
        rows = self.requests.filter(pk__in=known).values_list("pk", "recipients")
        return {delivery_id(pk, address) for pk, addresses in rows for address in addresses}

    def deliveries(self) -> dict[str, UUID]:
        keys = self.accepted(set(self.requests.values_list("pk", flat=True)))
        return {str(key): key for key in keys}


_STATUSES = {DeliveryStatus.ACCEPTED: Status.SUCCEEDED, DeliveryStatus.FAILED: Status.FAILED}


def _journals(requests: object) -> dict[UUID, list[frozenset[str]]]:
    journals: dict[UUID, list[frozenset[str]]] = {}
    for entry in Attempt.objects.filter(request__in=requests):
        journals.setdefault(entry.request_id, []).append(
            frozenset({entry.error_code, *entry.codes})
        )
    return journals
