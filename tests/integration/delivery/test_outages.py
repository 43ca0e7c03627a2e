"""A provider that is away as a whole: what begins a pause, what waits, and how it is let out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.dispatch import Signal
from django.utils import timezone
from pytest_django import Settings

from django_pushjobs import relay, services
from django_pushjobs.backends import Outcome, OutcomeClass, Scope
from django_pushjobs.conf import conf
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.devices import register
from django_pushjobs.limits import breaker
from django_pushjobs.models import ApiClient, Delivery, Pause, PushRequest
from django_pushjobs.signals import backend_paused, backend_resumed
from django_pushjobs.states import DeliveryStatus, Status
from tests.support.scripted import (
    SETTINGS,
    Scripted,
    begin,
    everything_is_due,
    outcome,
    probe_is_due,
)

pytestmark = pytest.mark.django_db(transaction=True)

AWAY = Outcome(
    kind=OutcomeClass.RECONNECT, code="unreachable", detail="not there", scope=Scope.PROVIDER
)
SILENT = Outcome(
    kind=OutcomeClass.RETRY, code="timeout", detail="silent", unknown=True, scope=Scope.PROVIDER
)


@pytest.fixture(autouse=True)
def provider(settings: Settings) -> type[Scripted]:
    settings.PUSHJOBS = settings.PUSHJOBS | SETTINGS
    Scripted.script.clear()
    Scripted.pushed.clear()
    return Scripted


@pytest.fixture
def told() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What the signals about pauses say."""
    heard: list[tuple[str, dict[str, Any]]] = []

    def listen(name: str, signal: Signal) -> Any:
        def hear(sender: object, signal: Signal, **facts: Any) -> None:
            heard.append((name, facts))

        signal.connect(hear, sender=Pause)
        return hear

    hearers = {signal: listen(name, signal) for name, signal in _SIGNALS.items()}
    yield heard
    for signal, hear in hearers.items():
        signal.disconnect(hear, sender=Pause)


_SIGNALS = {"paused": backend_paused, "resumed": backend_resumed}


def submit(*addresses: str, **fields: object) -> PushRequest:
    return services.submit(recipients=list(addresses), **fields)


def take_away(*addresses: str, answer: Outcome = AWAY) -> None:
    Scripted.script.update(dict.fromkeys(addresses, answer))


def meet(*addresses: str, answer: Outcome = AWAY, **fields: object) -> list[PushRequest]:
    """Push to addresses of a provider that is away."""
    take_away(*addresses, answer=answer)
    rows = [submit(address, **fields) for address in addresses]
    for row in rows:
        deliver(row.pk)
    return rows


def pause(*addresses: str) -> list[PushRequest]:
    """Let an outage begin, and wait until its pause stands."""
    rows = meet(*(addresses or "abcde"))
    begin()
    return rows


def queued() -> int:
    return PushRequest.objects.filter(status=Status.QUEUED).count()


# What begins a pause.


def test_five_addresses_of_two_owners_pause_after_a_notice() -> None:
    meet(*"abcd")
    assert not Pause.objects.exists()
    meet("e")
    announced = Pause.objects.get()
    assert (announced.backend, announced.origin, announced.is_outage) == ("scripted", "", True)
    assert announced.since > timezone.now()
    assert announced.until <= announced.since + timedelta(seconds=conf().PROBE_EVERY)
    begin()
    assert deliver(submit("f").pk) is None
    assert Scripted.pushed == [*"abcde"]


def test_five_attempts_at_one_address_pause_nothing() -> None:
    (row,) = meet("a")
    for _ in range(5):
        everything_is_due()
        relay.sweep()
        deliver(row.pk)
    assert Scripted.pushed == ["a"] * 6
    assert not Pause.objects.exists()


def test_what_was_accepted_meanwhile_proves_that_it_is_there() -> None:
    meet(*"abcd")
    deliver(submit("good").pk)
    meet(*"efgh")
    assert not Pause.objects.exists()


def test_an_accepted_push_withdraws_what_was_announced(
    told: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    meet(*"abcde")
    assert Pause.objects.exists()
    deliver(submit("good").pk)
    relay.sweep()
    assert not Pause.objects.exists()
    assert (told, "paused" in caplog.text) == ([], False)


def test_addresses_of_one_user_pause_nothing(django_user_model: type[User]) -> None:
    user = django_user_model.objects.create_user("mallory")
    addresses = [f"bad{number}" for number in range(9)]
    for address in addresses:
        register(user=user, platform="other", address=address)
    take_away(*addresses)
    deliver(services.submit(recipients=[{"user": user.pk}]).pk)
    assert Scripted.pushed == addresses
    assert not Pause.objects.exists()


def test_what_one_client_names_pauses_it_alone() -> None:
    acme = ApiClient.objects.create(name="acme")
    meet(*"abcde", client=acme)
    assert Pause.objects.get().client_id == acme.pk
    begin()
    assert deliver(submit("good", client=acme).pk) is None
    assert deliver(submit("good").pk) is Status.SUCCEEDED


def test_nor_does_a_provider_for_which_nobody_vouches() -> None:
    meet(*(f"nobody:{number}" for number in range(9)))
    assert not Pause.objects.exists()


def test_who_refuses_us_is_not_away() -> None:
    meet(*"abcd")
    Scripted.script["e"] = outcome("config")
    deliver(submit("e").pk)
    assert not Pause.objects.exists()


@pytest.mark.parametrize("kind", ["retry", "reconnect", "throttle"])
def test_what_is_about_an_address_pauses_nothing(kind: str) -> None:
    meet(*"abcdefgh", answer=outcome(kind, scope=Scope.ADDRESS))
    assert not Pause.objects.exists()


# While it stands.


def test_waiting_burns_no_attempt_and_one_at_a_time_is_the_probe() -> None:
    rows = pause()
    rows += [submit("f"), submit("g")]
    for row in rows[-2:]:
        assert deliver(row.pk) is None
    everything_is_due()
    assert relay.sweep().enqueued == 0
    take_away("f", "g")
    made = {row.pk: row.attempts for row in PushRequest.objects.all()}
    for _ in range(9):
        probe_is_due()
        assert relay.sweep().enqueued == 1
        probe = PushRequest.objects.get(status=Status.QUEUED)
        assert deliver(probe.pk) is Status.PENDING
        probe.refresh_from_db()
        assert probe.journal.order_by("number").last().end == "paused"
        prolonged = Pause.objects.get()
        assert prolonged.until <= timezone.now() + timedelta(seconds=conf().PROBE_EVERY)
    for row in PushRequest.objects.all():
        assert row.counted_attempts == made[row.pk]
        # Each had its turn: one that is never accepted does not keep the others away.
        assert row.attempts > made[row.pk]


def test_a_probe_with_many_addresses_asks_with_one() -> None:
    pause()
    addresses = [f"x{number}" for number in range(20)]
    take_away(*addresses)
    row = submit(*addresses)
    Pause.objects.update(until=timezone.now(), probe=row.pk)
    breaker.forget()
    Scripted.pushed.clear()
    assert deliver(row.pk) is Status.PENDING
    assert Scripted.pushed == ["x0"]
    assert {d.attempts for d in Delivery.objects.filter(request=row)} == {0}


def test_what_may_have_arrived_is_not_pushed_again_where_that_says_stop() -> None:
    pause()
    take_away("f", "g", answer=SILENT)
    ends = {}
    for address, on_unknown in (("f", "stop"), ("g", "retry")):
        row = submit(address, on_unknown=on_unknown)
        Pause.objects.update(until=timezone.now(), probe=row.pk)
        breaker.forget()
        ends[address] = deliver(row.pk)
    assert ends == {"f": Status.FAILED, "g": Status.PENDING}
    assert Delivery.objects.get(address="f").status == DeliveryStatus.UNKNOWN


def test_who_was_told_to_wait_does_so() -> None:
    pause()
    busy = Outcome(
        kind=OutcomeClass.RETRY, code="http_503", retry_after=3_600, scope=Scope.PROVIDER
    )
    take_away(*"abcde", answer=busy)
    everything_is_due()
    probe_is_due()
    relay.sweep()
    probe = PushRequest.objects.get(status=Status.QUEUED)
    deliver(probe.pk)
    probe.refresh_from_db()
    assert probe.next_attempt_at > timezone.now() + timedelta(minutes=59)
    assert probe.journal.order_by("number").last().end == "paused"


def test_a_probe_that_is_refused_proves_that_somebody_is_there() -> None:
    pause()
    everything_is_due()
    Scripted.script.update(dict.fromkeys("abcde", outcome("config")))
    probe_is_due()
    relay.sweep()
    deliver(PushRequest.objects.get(status=Status.QUEUED).pk)
    assert not Pause.objects.exists()


def test_it_is_told_once_that_it_begins_and_once_that_it_ends(
    told: list[tuple[str, dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pause()
    for _ in range(3):
        breaker.forget()
        relay.sweep()
    Scripted.script.clear()
    everything_is_due()
    probe_is_due()
    relay.sweep()
    for row in PushRequest.objects.filter(status=Status.QUEUED):
        deliver(row.pk)
    for _ in range(3):
        relay.sweep()
    place = {"backend": "scripted", "origin": "", "client_id": 0, "is_outage": True}
    began, ended = told
    assert began == ("paused", place | {"error_code": "unreachable", "error": "not there"})
    assert ended[0] == "resumed"
    assert ended[1].pop("seconds") >= 0
    assert ended[1] == place
    lines = [(r.levelname, r.getMessage()) for r in caplog.records if "paused" in r.getMessage()]
    assert lines == [
        ("WARNING", "Backend scripted is paused: unreachable, not there"),
        ("WARNING", "Backend scripted is no longer paused, after 0 s"),
    ]


# When it is over.


def gather(count: int, away_for: timedelta) -> None:
    """Let requests gather behind a pause, and end it."""
    pause()
    Pause.objects.update(since=timezone.now() - away_for)
    breaker.forget()
    Scripted.script.clear()
    later = timezone.now() + timedelta(hours=1)
    for number in range(count):
        submit(f"x{number}", send_at=later)
    other = submit("y", backend="other", send_at=later)
    everything_is_due()
    probe_is_due()
    assert relay.sweep().enqueued == 2
    assert deliver(other.pk) is Status.SUCCEEDED
    deliver(PushRequest.objects.get(status=Status.QUEUED).pk)
    assert not Pause.objects.exists()


def test_what_has_gathered_is_let_out_bit_by_bit(settings: Settings) -> None:
    # Steps so long that the time of the test itself makes no difference.
    settings.PUSHJOBS = settings.PUSHJOBS | {"RELAY_INTERVAL": 100.0}
    gather(95, timedelta(seconds=300))
    let_out = [relay.sweep().enqueued for _ in range(5)]
    assert let_out == [10, 20, 40, 29, 0]
    # Once that is done, nothing is held back.
    PushRequest.objects.filter(status=Status.QUEUED).transition(
        Status.PENDING, next_attempt_at=timezone.now()
    )
    assert relay.sweep().enqueued == 99


def test_and_no_faster_than_twice_as_fast_as_it_has_gathered(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"RELAY_INTERVAL": 100.0}
    gather(70, timedelta(seconds=1_000))
    let_out = [relay.sweep().enqueued for _ in range(6)]
    # 75 in ten steps, and the probe is one of them.
    assert let_out == [10, 15, 15, 15, 15, 4]


def test_who_waits_for_an_origin_comes_back_over_a_time() -> None:
    pause(*(f"wns:{number}" for number in range(5)))
    stood = timedelta(hours=1)
    Pause.objects.update(since=timezone.now() - stood)
    breaker.forget()
    rows = [submit(f"wns:x{number}", "fcm:good") for number in range(50)]
    for row in rows:
        assert deliver(row.pk) is Status.PENDING
    dues = PushRequest.objects.filter(pk__in=[r.pk for r in rows]).values_list(
        "next_attempt_at", flat=True
    )
    now = timezone.now()
    assert min(dues) < now + stood / 8
    assert now + stood * 3 / 8 < max(dues) < now + stood * 5 / 8
    assert "wns:x0" not in Scripted.pushed
    waiting = Delivery.objects.get(address="wns:x0")
    assert (waiting.attempts, waiting.error_code) == (0, "unreachable")
