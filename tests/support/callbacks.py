"""Callback endpoints for tests, and what they receive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import django_rq
import pytest
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from rq.serializers import JSONSerializer
from standardwebhooks import Webhook

from django_pushjobs.callbacks import endpoints
from django_pushjobs.events.change import Change
from django_pushjobs.lifecycle import announcements
from django_pushjobs.models import ApiClient, CallbackEndpoint, CallbackEvent, PushRequest
from django_pushjobs.states import Status
from tests.settings import PUSHJOBS
from tests.support.provider import Request
from tests.support.samples import a_push_request

#: Settings that permit callbacks to this machine.
INSECURE = PUSHJOBS | {"INSECURE_DESTINATIONS": True}


@contextmanager
def insecure() -> Iterator[None]:
    with override_settings(PUSHJOBS=INSECURE):
        yield


def a_client(name: str = "Shop", **fields: Any) -> ApiClient:
    return ApiClient.objects.create(name=name, **fields)


def an_endpoint(
    url: str, client: ApiClient | None = None, *event_types: str
) -> tuple[CallbackEndpoint, str]:
    return endpoints.register(client or a_client(), url, event_types=event_types)


def verified(request: Request, secret: str) -> Any:
    """Return the body of a callback, verified by an independent package."""
    assert json.loads(request.body) == Webhook(secret).verify(request.body, request.headers)
    return request.json


class Clock:
    """Django's clock, under the control of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = timezone.now()
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def advance(self, **parts: float) -> datetime:
        self.now += timedelta(**parts)
        return self.now


def ended(client: Any, status: Status = Status.SUCCEEDED, **fields: Any) -> PushRequest:
    """Store a request that ends in ``status``, as the writer does."""
    row = a_push_request(status, client=client, **fields)
    with transaction.atomic():
        announcements.record([Change.of(row)], using="default")
    return row


def jobs() -> list[Any]:
    return django_rq.get_queue("pushjobs", serializer=JSONSerializer).jobs


def an_event(endpoint: CallbackEndpoint) -> CallbackEvent:
    return endpoints.send_test(endpoint)
