"""Whatever an operator does to a row is in its history, and nothing that changed nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from django_pushjobs import devices
from django_pushjobs.callbacks import endpoints
from django_pushjobs.models import CallbackEvent, CallbackStatus, Pause
from tests.support.callbacks import a_client, an_endpoint, insecure

pytestmark = pytest.mark.django_db


def act(client: Client, action: str, rows: Sequence[Model]) -> None:
    url = f"/admin/django_pushjobs/{rows[0]._meta.model_name}/"
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    assert client.post(url, data).status_code == 302


def history() -> list[tuple[str, str]]:
    entries = LogEntry.objects.order_by("pk").select_related("user")
    assert {entry.user.username for entry in entries} <= {"admin"}
    found = [(entry.object_id or "", entry.get_change_message()) for entry in entries]
    entries.delete()
    return found


def test_dropped_and_revived_devices(admin_client: Client, settings: object) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"DEVICE_BACKENDS": {"web": "locmem"}}  # type: ignore[attr-defined]
    one, two = (devices.register(None, platform="web", address=a)[0] for a in ("a", "b"))
    devices.drop([two.pk])
    act(admin_client, "drop_selected", [one, two])
    assert history() == [(str(one.pk), "Dropped.")]
    act(admin_client, "revive_selected", [one])
    act(admin_client, "revive_selected", [one])
    assert history() == [(str(one.pk), "Revived.")]


def test_resumed_backends(admin_client: Client, admin_user: User) -> None:
    now = timezone.now()
    one = Pause.objects.create(backend="web", origin="https://push.example", until=now)
    key = str(one.pk)
    Pause.objects.create(backend="web", origin="https://other.example", until=now)
    act(admin_client, "resume_selected", [one])
    assert history() == [(key, "Resumed.")]
    assert Pause.objects.count() == 1


def test_callbacks_of_an_endpoint_that_are_replayed(admin_client: Client) -> None:
    with insecure():
        friend = a_client()
        both = [an_endpoint(f"http://127.0.0.1:9/{n}", friend)[0] for n in range(2)]
        event = endpoints.send_test(both[0])
        ended = {"status": CallbackStatus.FAILED, "next_attempt_at": None}
        CallbackEvent.objects.update(**ended, finished_at=timezone.now())
        act(admin_client, "replay_selected", both)
        assert history() == [(str(both[0].pk), "Replayed 1 failed callback.")]
        CallbackEvent.objects.update(**ended, finished_at=timezone.now())
        act(admin_client, "replay_selected", [event])
        act(admin_client, "replay_selected", [event])
        assert history() == [(str(event.pk), "Replayed.")]
