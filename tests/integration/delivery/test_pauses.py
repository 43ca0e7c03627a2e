"""Refused credentials: what they pause, what ends that, and what goes on meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from django_pushjobs import relay, services
from django_pushjobs.backends import Scope
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.devices import register
from django_pushjobs.limits import breaker
from django_pushjobs.models import ApiClient, Delivery, Pause, PushRequest
from django_pushjobs.states import Status
from tests.support.scripted import (
    SETTINGS,
    Scripted,
    begin,
    everything_is_due,
    outcome,
    probe_is_due,
)

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = outcome("config")


@pytest.fixture(autouse=True)
def provider(settings: Settings) -> type[Scripted]:
    settings.PUSHJOBS = settings.PUSHJOBS | SETTINGS
    Scripted.script.clear()
    Scripted.pushed.clear()
    return Scripted


def submit(*addresses: str, **fields: object) -> PushRequest:
    return services.submit(recipients=list(addresses), **fields)


def refuse(*addresses: str) -> None:
    Scripted.script.update(dict.fromkeys(addresses, REFUSED))


def pause(*addresses: str) -> None:
    """Let two addresses be refused, and wait until the pause stands."""
    refuse(*addresses)
    for address in addresses:
        deliver(submit(address, reference="refused").pk)
    begin()


# What begins a pause.


def test_one_address_that_is_refused_burns_its_attempts_and_pauses_nothing(
    settings: Settings,
) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_ATTEMPTS": 5}
    refuse("bad")
    row = submit("bad", "good")
    for number in range(1, 6):
        deliver(row.pk)
        row.refresh_from_db()
        assert row.attempts == number
        everything_is_due()
        relay.sweep()
    assert (row.status, row.error_code) == (Status.PARTIAL, "config_code")
    assert Scripted.pushed.count("bad") == 5
    assert Scripted.pushed.count("good") == 1
    assert not Pause.objects.exists()


def test_addresses_of_one_user_pause_nothing(django_user_model: type[User]) -> None:
    user = django_user_model.objects.create_user("mallory")
    addresses = [f"bad{number}" for number in range(5)]
    for address in addresses:
        register(user=user, platform="other", address=address)
    refuse(*addresses)
    deliver(services.submit(recipients=[{"user": user.pk}]).pk)
    assert Scripted.pushed == addresses
    assert not Pause.objects.exists()


def test_what_one_client_names_pauses_it_alone() -> None:
    acme, other = (ApiClient.objects.create(name=name) for name in ("acme", "other"))
    refuse("a", "b", "c", "d")
    for address in "ab":
        deliver(submit(address, client=acme).pk)
    assert Pause.objects.get().client_id == acme.pk
    begin()
    assert deliver(submit("c", client=acme).pk) is None
    # Of others nobody knows yet.
    assert deliver(submit("good").pk) is Status.SUCCEEDED
    assert not Pause.objects.exists()
    for address in "ab":
        deliver(submit(address, client=acme).pk)
    begin()
    assert deliver(submit("d", client=other).pk) is Status.PENDING
    assert set(Pause.objects.values_list("client_id", flat=True)) == {0, acme.pk}
    begin()
    assert deliver(submit("c", client=other).pk) is None
    assert deliver(submit("c").pk) is None


def test_a_client_that_is_paused_waits_and_the_others_are_enqueued() -> None:
    acme, other = (ApiClient.objects.create(name=name) for name in ("acme", "other"))
    refuse("a", "b")
    for address in "ab":
        deliver(submit(address, client=acme).pk)
    begin()
    later = timezone.now() + timedelta(hours=1)
    rows = [submit("c", client=client, send_at=later) for client in (acme, other, None)]
    everything_is_due()
    assert relay.sweep().enqueued == 2
    assert {row.pk for row in PushRequest.objects.filter(status=Status.QUEUED)} == {
        rows[1].pk,
        rows[2].pk,
    }
    probe_is_due()
    assert relay.sweep().enqueued == 1


def test_what_two_owners_meet_pauses_after_a_notice() -> None:
    refuse("a", "b")
    for address in "ab":
        assert deliver(submit(address).pk) is Status.PENDING
    announced = Pause.objects.get()
    assert (announced.backend, announced.origin) == ("scripted", "")
    assert announced.since > timezone.now()
    # Until it stands, everything is pushed.
    refuse("c")
    assert deliver(submit("c").pk) is Status.PENDING
    begin()
    assert deliver(submit("c").pk) is None
    assert Scripted.pushed == ["a", "b", "c"]


def test_an_accepted_push_clears_the_suspicion() -> None:
    refuse("a", "b")
    for address in ("a", "good", "b"):
        deliver(submit(address).pk)
    assert not Pause.objects.exists()


def test_an_accepted_push_withdraws_what_was_announced() -> None:
    refuse("a", "b")
    for address in ("a", "b", "good"):
        deliver(submit(address).pk)
    assert not Pause.objects.exists()


def test_good_addresses_of_the_same_request_count() -> None:
    refuse("a", "b")
    deliver(submit("a", "b", "good").pk)
    assert not Pause.objects.exists()


def test_a_refused_route_pauses_nothing() -> None:
    for address in "ab":
        Scripted.script[address] = outcome("config", scope=Scope.ROUTE)
        deliver(submit(address).pk)
    assert not Pause.objects.exists()


def test_nor_does_a_provider_for_which_nobody_vouches() -> None:
    refuse("nobody:1", "nobody:2", "nobody:3")
    for number in (1, 2, 3):
        deliver(submit(f"nobody:{number}").pk)
    assert not Pause.objects.exists()


# While it stands.


def test_waiting_burns_no_attempt() -> None:
    pause("a", "b")
    row = submit("c")
    assert deliver(row.pk) is None
    assert relay.sweep().enqueued == 0
    row.refresh_from_db()
    assert (row.status, row.attempts) == (Status.PENDING, 0)


def test_a_probe_that_fails_prolongs_it_and_one_that_succeeds_ends_it() -> None:
    pause("a", "b")
    everything_is_due()
    probe_is_due()
    assert relay.sweep().enqueued == 1
    probe = PushRequest.objects.get(status=Status.QUEUED)
    attempts = probe.counted_attempts
    assert deliver(probe.pk) is Status.PENDING
    probe.refresh_from_db()
    assert probe.counted_attempts == attempts
    assert probe.journal.order_by("number").last().end == "paused"
    prolonged = Pause.objects.get()
    assert (prolonged.failures, prolonged.probe) == (2, None)
    assert prolonged.until > timezone.now() + timedelta(seconds=50)
    assert relay.sweep().enqueued == 0

    Scripted.script.clear()
    probe_is_due()
    assert relay.sweep().enqueued == 1
    probe = PushRequest.objects.get(status=Status.QUEUED)
    assert deliver(probe.pk) is Status.SUCCEEDED
    assert not Pause.objects.exists()
    assert relay.sweep().enqueued == 1


def test_a_probe_that_another_process_has_chosen_is_not_shut_out() -> None:
    pause("a", "b")
    row = submit("good")
    # What this process knows is fresh, and then it is not.
    assert deliver(submit("c").pk) is None
    later = timezone.now() + timedelta(minutes=1)
    Pause.objects.update(probe=row.pk, until=later)
    assert deliver(row.pk) is Status.SUCCEEDED
    assert not Pause.objects.exists()


def test_ends_where_an_operator_says_so() -> None:
    pause("a", "b")
    Scripted.script.clear()
    everything_is_due()
    assert services.resume("scripted")
    assert not services.resume("scripted")
    assert relay.sweep().enqueued == 2


def test_leaves_other_backends_alone() -> None:
    pause("a", "b")
    Scripted.script.clear()
    row = submit("a", backend="other", send_at=timezone.now() + timedelta(hours=1))
    everything_is_due()
    assert relay.sweep().enqueued == 1
    assert deliver(row.pk) is Status.SUCCEEDED


def test_nobody_waits_for_ever(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_PAUSE_WAIT": 3_600}
    pause("a", "b")
    patient = submit("c")
    deliver(patient.pk)
    an_hour_ago = timezone.now() - timedelta(seconds=3_600)
    PushRequest.objects.filter(reference="refused").update(next_attempt_at=an_hour_ago)
    relay.sweep()
    for row in PushRequest.objects.filter(reference="refused"):
        assert (row.status, row.error_code) == (Status.FAILED, "config_code")
        assert "paused for too long" in row.error
    patient.refresh_from_db()
    assert patient.status == Status.PENDING


# One origin of several.


def test_one_origin_is_paused_and_the_others_go_on() -> None:
    pause("wns:a", "wns:b")
    assert set(Pause.objects.values_list("backend", "origin")) == {("scripted", "wns")}
    Scripted.pushed.clear()
    row = submit("wns:c", "fcm:c")
    assert deliver(row.pk) is Status.PENDING
    assert Scripted.pushed == ["fcm:c"]
    row.refresh_from_db()
    assert (row.accepted, row.total, row.counted_attempts) == (1, 2, 0)
    waiting = row.deliveries.get(address="wns:c")
    assert (waiting.status, waiting.attempts, waiting.error_code) == ("retrying", 0, "config_code")
    assert waiting.next_attempt_at == row.next_attempt_at > timezone.now()
    assert "wns is paused" in waiting.error


def test_of_those_who_wait_for_an_origin_one_is_the_probe() -> None:
    pause("wns:a", "wns:b")
    rows = [submit(f"wns:{number}") for number in range(3)]
    for row in rows:
        deliver(row.pk)
    Scripted.pushed.clear()
    refuse(*(f"wns:{number}" for number in range(3)))
    for is_refused in (True, False):
        if not is_refused:
            Scripted.script.clear()
        probe_is_due()
        everything_is_due()
        relay.sweep()
        Scripted.pushed.clear()
        for row in rows:
            deliver(row.pk)
        # After a probe that was accepted, the others go on at once.
        assert len(Scripted.pushed) == (1 if is_refused else 3)
    assert not Pause.objects.exists()
    assert set(PushRequest.objects.filter(pk__in=[r.pk for r in rows]).values_list("status")) == {
        ("succeeded",)
    }


def test_who_waits_for_an_origin_does_not_do_so_for_ever(settings: Settings) -> None:
    pause("wns:a", "wns:b")
    row = submit("wns:c", "fcm:c")
    deliver(row.pk)
    PushRequest.objects.filter(pk=row.pk).update(started_at=timezone.now() - timedelta(days=1))
    everything_is_due()
    relay.sweep()
    assert deliver(row.pk) is Status.PARTIAL
    delivery = Delivery.objects.get(address="wns:c")
    assert (delivery.status, delivery.error_code) == ("failed", "config_code")


def test_an_operator_resumes_one_origin() -> None:
    pause("wns:a", "wns:b")
    pause("fcm:a", "fcm:b")
    assert services.resume("scripted", "wns")
    assert list(Pause.objects.values_list("origin", flat=True)) == ["fcm"]


def test_an_accepted_push_proves_nothing_about_another_origin() -> None:
    refuse("wns:a", "wns:b")
    for address in ("wns:a", "fcm:good", "wns:b", "fcm:good"):
        deliver(submit(address).pk)
    assert Pause.objects.get().origin == "wns"


def test_a_pause_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    pause("a", "b")
    everything_is_due()
    for _ in range(3):
        breaker.forget()
        relay.sweep()
    lines = [r.message for r in caplog.records if "is paused" in r.message]
    assert lines == ["Backend scripted is paused: config_code, config detail"]


def test_so_is_one_of_an_origin(caplog: pytest.LogCaptureFixture) -> None:
    pause("wns:a", "wns:b")
    for _ in range(3):
        relay.sweep()
    lines = [(r.levelname, r.message) for r in caplog.records if "is paused" in r.message]
    assert lines == [("ERROR", "Backend scripted: wns is paused: config_code, config detail")]
