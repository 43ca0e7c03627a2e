"""What a submission says is what the row holds."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_pushjobs import services
from django_pushjobs.models import PushRequest
from django_pushjobs.submission.submissions import Submission

pytestmark = pytest.mark.django_db(transaction=True)

#: Field of a submission -> a value that is not its default, and that can be accepted.
VALUES: dict[str, Any] = {
    "recipients": ["token-1", "token-2"],
    "title": "Hello",
    "body": "It is ready.",
    "data": {"order": 17},
    "options": {"sound": "default"},
    "backend": "locmem",
    "priority": "high",
    "send_at": timezone.now() + timedelta(days=1),
    "expires_at": timezone.now() + timedelta(days=2),
    "collapse_key": "order-17",
    "on_unknown": "stop",
    "reference": "r-17",
    "callback_url": "https://shop.example/hooks",
    "request_id": "call-17",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
#: Kept in another form, and tested by name: expires_at.
DERIVED = {"ttl"}


def test_every_field_has_a_value_here() -> None:
    assert {field.name for field in fields(Submission)} == VALUES.keys() | DERIVED


@pytest.mark.parametrize("name", VALUES)
def test_a_field_is_stored(name: str) -> None:
    given = {"recipients": ["token"], name: VALUES[name]}
    row = services.submit(**given)
    assert getattr(PushRequest.objects.get(pk=row.pk), name) == VALUES[name]


def test_ttl_is_stored_as_the_time_it_means() -> None:
    row = services.submit(recipients=["token"], ttl=60)
    stored = PushRequest.objects.get(pk=row.pk)
    assert stored.expires_at == stored.created_at + timedelta(seconds=60)
