"""Order, pause, replay and retention."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta
from typing import Any

import django_rq
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings
from rq.serializers import JSONSerializer

from django_pushjobs import relay
from django_pushjobs.callbacks import endpoints, replays, sender, sweeping
from django_pushjobs.events.change import Change
from django_pushjobs.lifecycle import announcements
from django_pushjobs.models import (
    CallbackAttempt,
    CallbackEvent,
    PushRequest,
)
from django_pushjobs.states import Status
from tests.support.callbacks import (
    Clock,
    a_client,
    an_endpoint,
    an_event,
    ended,
    jobs,
    verified,
)
from tests.support.provider import Provider, http, provider
from tests.support.samples import a_push_request

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("insecure_destinations"),
]


def test_what_waits_behind_another_is_not_due(receiver: Provider, clock: Clock) -> None:
    """Else the job of the endpoint would be enqueued again and again until then."""
    endpoint, _ = an_endpoint(receiver.url)
    row = a_push_request(Status.FAILED, client=endpoint.client)
    events = []
    for status in (Status.FAILED, Status.SUCCEEDED):
        PushRequest.objects.filter(pk=row.pk).update(status=status, updated_at=clock.now)
        row.refresh_from_db()
        with transaction.atomic():
            announcements.record([Change.of(row)], using="default")
        if not events:
            receiver.script(http(500))
            assert sender.send(endpoint.pk) == 1
        events = list(CallbackEvent.objects.order_by("created_at"))
        clock.advance(seconds=1)
    django_rq.get_queue("pushjobs", serializer=JSONSerializer).empty()
    assert sender.send(endpoint.pk) == 0
    assert jobs() == []
    assert sweeping.sweep() == 0
    # Once the first one has been delivered, the second one follows at once.
    clock.advance(seconds=10)
    assert sweeping.sweep() == 1
    assert sender.send(endpoint.pk) == 2
    told = [request.json["data"]["status"] for request in receiver.requests]
    assert told == ["failed", "failed", "succeeded"]


def test_what_waits_behind_a_long_wait_follows_a_replay(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    row = a_push_request(Status.FAILED, client=endpoint.client)
    for status in (Status.FAILED, Status.SUCCEEDED):
        PushRequest.objects.filter(pk=row.pk).update(status=status, updated_at=clock.now)
        row.refresh_from_db()
        with transaction.atomic():
            announcements.record([Change.of(row)], using="default")
        clock.advance(seconds=1)
    first = CallbackEvent.objects.order_by("created_at").first()
    assert first is not None
    CallbackEvent.objects.filter(pk=first.pk).update(
        attempts=3, next_attempt_at=clock.now + timedelta(hours=2)
    )
    assert sender.send(endpoint.pk) == 0
    CallbackEvent.objects.filter(pk=first.pk).update(next_attempt_at=clock.now)
    assert sender.send(endpoint.pk) == 2


def test_the_events_of_one_request_keep_their_order(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    row = a_push_request(Status.FAILED, client=endpoint.client)
    for status in (Status.FAILED, Status.SUCCEEDED):
        PushRequest.objects.filter(pk=row.pk).update(status=status, updated_at=clock.now)
        row.refresh_from_db()
        with transaction.atomic():
            announcements.record([Change.of(row)], using="default")
        clock.advance(seconds=1)
    other = ended(endpoint.client)
    receiver.script(http(500))
    assert sender.send(endpoint.pk) == 2  # the first of this one, and the other's
    clock.advance(seconds=10)
    assert sender.send(endpoint.pk) == 2
    told = [(r.json["data"]["id"], r.json["data"]["status"]) for r in receiver.requests]
    assert [status for pk, status in told if pk == str(row.pk)] == ["failed", "failed", "succeeded"]
    assert (str(other.pk), "succeeded") in told


def test_a_paused_endpoint_is_told_later(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    endpoints.pause(endpoint)
    ended(endpoint.client)
    assert sweeping.sweep() == 0
    assert sender.send(endpoint.pk) == 0
    endpoints.resume(endpoint)
    assert len(jobs()) >= 1
    assert sender.send(endpoint.pk) == 1


def test_a_rotation_signs_with_both_secrets_for_a_while(receiver: Provider, clock: Clock) -> None:
    endpoint, old = an_endpoint(receiver.url)
    new = endpoints.rotate(endpoint)
    an_event(endpoint)
    sender.send(endpoint.pk)
    verified(receiver.requests[0], old)
    verified(receiver.requests[0], new)
    endpoint.refresh_from_db()
    assert endpoint.secrets(clock.advance(days=1, seconds=1)) == [new]


def test_a_secret_is_stored_encrypted_and_survives_a_new_secret_key(
    receiver: Provider, settings: Settings
) -> None:
    endpoint, secret = an_endpoint(receiver.url)
    assert secret.removeprefix("whsec_") not in endpoint.encrypted_secret
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new one"
    assert endpoint.secrets(timezone.now()) == [secret]
    settings.SECRET_KEY_FALLBACKS = []
    an_event(endpoint)
    assert sender.send(endpoint.pk) == 1
    assert CallbackAttempt.objects.get().error_code == "secret_unreadable"
    # Rotating mends it at once, although the previous secret is lost.
    new = endpoints.rotate(endpoint)
    assert endpoint.secrets(timezone.now()) == [new]


def test_a_replay_has_the_same_id_and_body(receiver: Provider) -> None:
    endpoint, secret = an_endpoint(receiver.url)
    ended(endpoint.client)
    event = CallbackEvent.objects.get()
    assert not replays.replay(event)  # it waits anyway
    sender.send(endpoint.pk)
    assert replays.replay(event)
    sender.send(endpoint.pk)
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    verified(second, secret)


def test_replay_since_leaves_out_what_is_older(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    old = an_event(endpoint)
    sender.send(endpoint.pk)
    CallbackEvent.objects.filter(pk=old.pk).update(created_at=clock.now - timedelta(days=1))
    an_event(endpoint)
    sender.send(endpoint.pk)
    since = clock.now - timedelta(hours=1)
    assert replays.replay_since(since, endpoints=[endpoint], failed_only=True) == 0
    assert replays.replay_since(since, endpoints=[endpoint]) == 1


def test_old_callbacks_are_pruned_with_their_attempts(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    an_event(endpoint)
    sender.send(endpoint.pk)
    assert relay.sweep().pruned == 0
    clock.advance(days=8)
    assert relay.sweep().pruned == 1
    assert not CallbackAttempt.objects.exists()


def test_a_slow_endpoint_delays_nobody_else(receiver: Provider) -> None:
    slow_one, _ = an_endpoint(receiver.url, a_client("Slow"))
    reached, go_on = threading.Event(), threading.Event()

    def wait(connection: socket.socket) -> None:
        reached.set()
        go_on.wait(10)
        http()(connection)

    receiver.script(wait)
    an_event(slow_one)
    thread = threading.Thread(target=_in_thread, args=(slow_one.pk,))
    thread.start()
    assert reached.wait(10)
    try:
        with provider() as other_receiver:
            other, _ = an_endpoint(other_receiver.url, a_client("Other"))
            an_event(other)
            assert sender.send(other.pk) == 1
            assert sender.send(slow_one.pk) == 0  # its one job runs already
    finally:
        go_on.set()
        thread.join(10)


def _in_thread(endpoint_id: Any) -> None:

    try:
        sender.send(endpoint_id)
    finally:
        connection.close()


def test_the_command_replays(receiver: Provider, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    an_event(endpoint)
    sender.send(endpoint.pk)
    call_command("pushjobs_callbacks", "replay", "--since", "2020-01-01T00:00:00Z", "--failed")
    call_command("pushjobs_callbacks", "replay", "--since", "2020-01-01", "--client", "Shop")
    assert capsys.readouterr().out == "replayed 0\nreplayed 1\n"
    assert sender.send(endpoint.pk) == 1
    with pytest.raises(CommandError, match="no such endpoint"):
        call_command("pushjobs_callbacks", "replay", "--since", "2020-01-01", "--client", "Nobody")
    with pytest.raises(CommandError, match="not a time"):
        call_command("pushjobs_callbacks", "replay", "--since", "yesterday")
