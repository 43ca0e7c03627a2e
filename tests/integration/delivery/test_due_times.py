"""Time belongs to an address: nobody waits for what another one was told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from django_pushjobs import relay, services
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.models import Delivery, PushRequest
from django_pushjobs.states import Status
from tests.support.scripted import ENTRY, Scripted, everything_is_due, outcome

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = 3_600.0


@pytest.fixture(autouse=True)
def provider(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "BACKENDS": {"scripted": ENTRY},
        "DEFAULT_BACKEND": "scripted",
        "MAX_ATTEMPTS": 5,
    }
    Scripted.script.clear()
    Scripted.pushed.clear()


def submit(*addresses: str) -> PushRequest:
    return services.submit(recipients=list(addresses))


def again(row: PushRequest) -> None:
    """Make the next attempt at ``row`` now, as if its time had come, and no other's."""
    row.refresh_from_db()
    due = row.next_attempt_at
    now = timezone.now()
    Delivery.objects.filter(request=row, next_attempt_at=due).update(next_attempt_at=now)
    PushRequest.objects.filter(pk=row.pk).update(next_attempt_at=now)
    relay.sweep()
    deliver(row.pk)
    row.refresh_from_db()


def test_a_long_wait_of_one_address_does_not_delay_another() -> None:
    Scripted.script.update(
        slow=outcome("throttle", retry_after=HOUR), busy=outcome("retry"), good=outcome("ok")
    )
    row = submit("slow", "busy", "good")
    began = timezone.now()
    assert deliver(row.pk) is Status.PENDING
    row.refresh_from_db()
    assert row.next_attempt_at < began + timedelta(seconds=60)
    slow = Delivery.objects.get(address="slow")
    assert slow.next_attempt_at >= began + timedelta(seconds=HOUR)

    del Scripted.script["busy"]
    Scripted.pushed.clear()
    again(row)
    assert Scripted.pushed == ["busy"]
    assert (row.status, row.accepted, row.total) == (Status.PENDING, 2, 3)
    assert row.next_attempt_at == slow.next_attempt_at

    del Scripted.script["slow"]
    again(row)
    assert (row.status, row.accepted) == (Status.SUCCEEDED, 3)
    assert Scripted.pushed == ["busy", "slow"]


def test_each_address_has_its_own_attempts() -> None:
    Scripted.script.update(slow=outcome("throttle", retry_after=HOUR), busy=outcome("retry"))
    row = submit("slow", "busy")
    deliver(row.pk)
    while Delivery.objects.get(address="busy").status == "retrying":
        again(row)
    assert Scripted.pushed.count("busy") == 5
    # One has used up its attempts, the other has made one.
    assert (row.status, row.failed, row.counted_attempts) == (Status.PENDING, 1, 1)
    assert Delivery.objects.get(address="slow").attempts == 1
    while row.status == Status.PENDING:
        again(row)
    assert Scripted.pushed.count("slow") == 5
    assert (row.status, row.failed) == (Status.FAILED, 2)


def test_addresses_with_the_same_trouble_share_the_next_attempt() -> None:
    names = [f"a{number}" for number in range(20)]
    Scripted.script.update(dict.fromkeys(names, outcome("retry")))
    row = submit(*names)
    deliver(row.pk)
    assert Delivery.objects.values("next_attempt_at").distinct().count() == 1


def test_what_is_due_too_early_makes_no_attempt() -> None:
    Scripted.script["slow"] = outcome("throttle", retry_after=HOUR)
    row = submit("slow")
    deliver(row.pk)
    PushRequest.objects.filter(pk=row.pk).update(next_attempt_at=timezone.now())
    relay.sweep()
    assert deliver(row.pk) is Status.PENDING
    row.refresh_from_db()
    assert row.attempts == 1
    assert row.next_attempt_at == Delivery.objects.get().next_attempt_at
    assert Scripted.pushed == ["slow"]


def test_an_error_of_ours_does_not_end_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    Scripted.script["busy"] = outcome("retry")
    row = submit("good", "busy")
    deliver(row.pk)
    everything_is_due()
    relay.sweep()
    with monkeypatch.context() as patch:
        patch.setattr("django_pushjobs.recipients.resolve", _broken)
        with pytest.raises(RuntimeError):
            deliver(row.pk)
    row.refresh_from_db()
    assert (row.status, row.error_code) == (Status.PENDING, "internal_error")
    del Scripted.script["busy"]
    everything_is_due()
    relay.sweep()
    assert deliver(row.pk) is Status.SUCCEEDED


def test_a_retry_gives_every_address_new_attempts() -> None:
    Scripted.script["busy"] = outcome("retry")
    row = submit("busy")
    deliver(row.pk)
    row.refresh_from_db()
    while row.status == Status.PENDING:
        again(row)
    services.retry(row.pk)
    deliver(row.pk)
    row.refresh_from_db()
    while row.status == Status.PENDING:
        again(row)
    assert (row.status, row.attempts) == (Status.FAILED, 10)
    assert len(Scripted.pushed) == 10


def _broken(*args: object, **kwargs: object) -> None:
    raise RuntimeError("no resolver")
