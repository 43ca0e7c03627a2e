"""Push requests in any state, as the tables' constraints want them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from django_pushjobs.models import Delivery, PushRequest
from django_pushjobs.models.identifiers import delivery_id
from django_pushjobs.states import FINAL, DeliveryStatus, Status


def a_push_request(status: Status = Status.SUCCEEDED, **fields: Any) -> PushRequest:
    """Store a push request in ``status``; what that implies is filled in where not given."""
    now = timezone.now()
    implied: dict[str, Any] = {"recipients": ["device"], "backend": "locmem", "total": 1}
    if status == Status.PENDING:
        implied["next_attempt_at"] = now + timedelta(hours=1)
    else:
        implied["queued_at"] = now
    if status == Status.RUNNING:
        implied |= {"owner": "worker", "lease_expires_at": now + timedelta(minutes=1)}
        implied["started_at"] = now
    if status in FINAL:
        implied["finished_at"] = now
    return PushRequest.objects.create(status=status, **(implied | fields))


def some_deliveries(request: PushRequest, count: int) -> list[Delivery]:
    """Store accepted deliveries of ``request``; the last one failed."""
    now = timezone.now()
    rows = [
        Delivery(
            id=delivery_id(request.pk, f"device-{number}"),
            request=request,
            address=f"device-{number}",
            status=DeliveryStatus.ACCEPTED if number < count - 1 else DeliveryStatus.FAILED,
            started_at=now,
            finished_at=now + timedelta(milliseconds=12),
        )
        for number in range(count)
    ]
    return Delivery.objects.bulk_create(rows)
