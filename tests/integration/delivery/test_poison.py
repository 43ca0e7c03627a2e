"""What blocked its process rests; the second time it ends, and meanwhile nobody else takes it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from django_pushjobs import relay
from django_pushjobs.broker.queues import PushJob
from django_pushjobs.callbacks import endpoints, sender
from django_pushjobs.callbacks.claims import EndpointClaim
from django_pushjobs.models import Attempt, CallbackAttempt, CallbackEndpoint, PushRequest
from django_pushjobs.relay.recovery import REST
from django_pushjobs.runtime import processes
from django_pushjobs.states import OnUnknown, Status
from tests.support.callbacks import a_client, an_endpoint
from tests.support.samples import a_push_request

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


@dataclass(frozen=True)
class Fallen:
    pid: int
    culprit: str = ""
    silence: float = 31.0


@pytest.fixture
def child() -> Iterator[str]:
    """Return a token of a process that died while its arbiter lives: this process."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    processes.set_guardian(os.getpid())
    try:
        yield processes.new_token().replace(f":{os.getpid()}:", f":{gone.pid}:")
    finally:
        processes.set_guardian(0)


def pid_of(token: str) -> int:
    return int(token.split(":")[1])


def job_of(request_id: UUID) -> str:
    return PushJob(request_id, "normal", 0).job_id


def running(token: str, attempts: int = 1, **fields: object) -> PushRequest:
    row = a_push_request(Status.QUEUED, **fields)
    return claimed(row, token, attempts)


def claimed(row: PushRequest, token: str, attempts: int) -> PushRequest:
    expires_at = timezone.now() + timedelta(seconds=60)
    PushRequest.objects.filter(pk=row.pk).update(
        status=Status.RUNNING, owner=f"{token}:3", lease_expires_at=expires_at,
        attempts=attempts, next_attempt_at=None,
    )  # fmt: skip
    row.refresh_from_db()
    return row


def test_what_a_child_held_is_left_to_its_successor(child: str) -> None:
    row = running(child)
    assert relay.sweep().recovered == 0
    relay.inherit(Fallen(pid_of(child)))
    row.refresh_from_db()
    assert (row.status, row.error_code) == (Status.PENDING, "worker_lost")
    assert row.next_attempt_at is not None
    assert row.next_attempt_at <= timezone.now()


def test_what_a_child_held_is_recovered_if_nobody_succeeds_it(child: str) -> None:
    with subprocess.Popen(["true"]) as arbiter:
        arbiter.wait()
    row = running(child.replace(f":{os.getpid()}-", f":{arbiter.pid}-"))
    assert relay.sweep().recovered == 1
    row.refresh_from_db()
    assert row.status != Status.RUNNING


def test_only_the_request_that_blocked_its_process_rests_and_then_ends(child: str) -> None:
    guilty, bystander = running(child), running(child)
    relay.inherit(Fallen(pid_of(child), job_of(guilty.pk)))
    guilty.refresh_from_db()
    bystander.refresh_from_db()
    assert (bystander.status, bystander.error_code) == (Status.PENDING, "worker_lost")
    assert (guilty.status, guilty.error_code) == (Status.PENDING, "poisonous")
    assert guilty.next_attempt_at is not None
    assert guilty.next_attempt_at > timezone.now() + timedelta(seconds=REST - 60)
    entry = Attempt.objects.get(request=guilty)
    assert (entry.end, entry.error_code) == ("lost", "poisonous")
    assert "blocked its worker for 31 s" in entry.error

    claimed(guilty, child, 2)
    relay.inherit(Fallen(pid_of(child), job_of(guilty.pk)))
    guilty.refresh_from_db()
    assert (guilty.status, guilty.error_code) == (Status.FAILED, "poisonous")
    assert "2 of at most 2 times" in guilty.error
    assert Attempt.objects.filter(request=guilty).count() == 2


def test_a_request_that_may_have_been_sent_is_not_sent_again_if_it_says_so(child: str) -> None:
    from django_pushjobs.delivery.attempts import deliver

    row = running(child, on_unknown=OnUnknown.STOP, recipients=["a"])
    relay.inherit(Fallen(pid_of(child), job_of(row.pk)))
    PushRequest.objects.filter(pk=row.pk).transition(Status.QUEUED)
    assert deliver(row.pk) is Status.FAILED
    row.refresh_from_db()
    assert row.unknown == 1


def test_an_endpoint_whose_calls_blocked_their_process_rests(child: str) -> None:
    client = a_client()
    guilty, bystander = (an_endpoint(f"https://93.184.215.{n}/", client)[0] for n in (14, 15))
    event = endpoints.send_test(guilty)
    for endpoint in (guilty, bystander):
        claim = EndpointClaim.take(endpoint.pk)
        assert claim is not None
    CallbackEndpoint.objects.update(owner=child)
    assert sender.send(guilty.pk) == 0
    relay.inherit(Fallen(pid_of(child), f"callbacks-{guilty.pk.hex}-0123abcd"))
    event.refresh_from_db()
    guilty.refresh_from_db()
    rested_at = timezone.now() + timedelta(seconds=REST - 60)
    assert event.attempts == 1
    assert event.next_attempt_at is not None
    assert event.next_attempt_at > rested_at
    assert guilty.resting_until is not None
    assert guilty.resting_until > rested_at
    assert CallbackAttempt.objects.get(event=event).error_code == "poisonous"
    assert not CallbackEndpoint.objects.exclude(owner="").exists()
    bystander.refresh_from_db()
    assert bystander.resting_until is None
