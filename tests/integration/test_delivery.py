"""One attempt: claim, resolve, push, settle; and what the relay does where an attempt is lost."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from django_pushjobs import relay, services
from django_pushjobs.backends import (
    BasePushBackend,
    Message,
    Outcome,
    OutcomeClass,
    Target,
    accepted,
)
from django_pushjobs.delivery import deliver
from django_pushjobs.identifiers import delivery_id
from django_pushjobs.jobs import run_push_request
from django_pushjobs.models import Delivery, PushRequest
from django_pushjobs.processes import new_token
from django_pushjobs.signals import push_request_finished
from django_pushjobs.states import DeliveryStatus, Status

pytestmark = pytest.mark.django_db(transaction=True)


class Scripted(BasePushBackend):
    """Answers what the test says for an address; the address itself names the class otherwise."""

    answers: dict[str, Outcome | Exception]
    pushed: list[Target]

    def push(self, message: Message, target: Target) -> Outcome:
        self.pushed.append(target)
        answer = self.answers.get(target.address, accepted(f"id-of-{target.address}"))
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def provider(settings: Settings) -> type[Scripted]:
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "BACKENDS": {"scripted": {"BACKEND": f"{__name__}.Scripted"}},
        "DEFAULT_BACKEND": "scripted",
    }
    Scripted.answers, Scripted.pushed = {}, []
    return Scripted


def outcome(kind: str, **fields: Any) -> Outcome:
    return Outcome(kind=OutcomeClass(kind), code=f"{kind}_code", detail=f"{kind} detail", **fields)


def submit(*addresses: str, **fields: Any) -> PushRequest:
    return services.submit(recipients=list(addresses), **fields)


def test_success_is_written_with_its_delivery(provider: type[Scripted]) -> None:
    row = submit("a")
    assert run_push_request(str(row.pk)) == "succeeded"
    row.refresh_from_db()
    assert row.status == Status.SUCCEEDED
    assert (row.total, row.accepted, row.attempts, row.error_code) == (1, 1, 1, "")
    assert row.created_at <= row.started_at <= row.finished_at  # type: ignore[operator]
    assert (row.owner, row.lease_expires_at) == ("", None)
    delivery = row.deliveries.get()
    assert delivery.pk == delivery_id(row.pk, "a")
    assert (delivery.status, delivery.provider_id) == (DeliveryStatus.ACCEPTED, "id-of-a")


def test_a_second_job_for_the_same_request_does_nothing(provider: type[Scripted]) -> None:
    row = submit("a")
    deliver(row.pk)
    assert deliver(row.pk) is None
    assert run_push_request(str(PushRequest().pk)) is None
    assert len(provider.pushed) == 1


@pytest.mark.parametrize(
    ("kinds", "status", "counts"),
    [
        (["ok", "ok"], Status.SUCCEEDED, (2, 2, 0, 0)),
        (["ok", "fail"], Status.PARTIAL, (2, 1, 1, 0)),
        (["ok", "drop"], Status.PARTIAL, (2, 1, 0, 1)),
        (["fail", "drop"], Status.FAILED, (2, 0, 1, 1)),
        (["ok", "retry"], Status.PENDING, (2, 1, 0, 0)),
        (["fail", "throttle"], Status.PENDING, (2, 0, 1, 0)),
        (["config"], Status.PENDING, (1, 0, 0, 0)),
        (["reconnect"], Status.PENDING, (1, 0, 0, 0)),
    ],
)
def test_outcomes_add_up(
    provider: type[Scripted], kinds: list[str], status: Status, counts: tuple[int, ...]
) -> None:
    provider.answers = {f"{i}-{kind}": outcome(kind) for i, kind in enumerate(kinds)}
    row = submit(*provider.answers)
    assert deliver(row.pk) is status
    row.refresh_from_db()
    assert row.status == status
    assert (row.total, row.accepted, row.failed, row.dropped) == counts
    assert row.deliveries.count() == len(kinds)
    assert (row.next_attempt_at is not None) == (status is Status.PENDING)


def test_only_what_failed_is_pushed_again(provider: type[Scripted]) -> None:
    provider.answers = {"b": outcome("retry", retry_after=30.0), "c": outcome("drop")}
    row = submit("a", "b", "c")
    before = timezone.now()
    deliver(row.pk)
    row.refresh_from_db()
    assert row.next_attempt_at is not None
    assert row.next_attempt_at >= before + timedelta(seconds=30)
    assert row.error_code == "retry_code" or row.error_code == "drop_code"
    provider.answers, provider.pushed = {}, []
    PushRequest.objects.update(next_attempt_at=before)
    assert relay.sweep().rung == 1
    assert deliver(row.pk) is Status.PARTIAL
    assert [target.address for target in provider.pushed] == ["b"]
    row.refresh_from_db()
    assert (row.total, row.accepted, row.dropped, row.attempts) == (3, 2, 1, 2)
    assert row.deliveries.get(address="b").attempts == 2


def test_attempts_come_to_an_end(provider: type[Scripted], settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_ATTEMPTS": 2, "RETRY_BASE": 0.0}
    provider.answers = {"a": outcome("retry")}
    row = submit("a")
    assert deliver(row.pk) is Status.PENDING
    assert relay.sweep().rung == 1
    assert deliver(row.pk) is Status.FAILED
    row.refresh_from_db()
    assert (row.failed, row.error_code, row.error) == (1, "retry_code", "retry detail")
    # Asked for again, it has as many attempts as in the beginning.
    services.retry(row.pk)
    assert deliver(row.pk) is Status.PENDING


def test_no_attempt_after_its_time(provider: type[Scripted]) -> None:
    provider.answers = {"a": outcome("retry", retry_after=3600.0)}
    row = submit("a", expires_at=timezone.now() + timedelta(minutes=1))
    assert deliver(row.pk) is Status.EXPIRED


def test_a_request_that_is_overdue_is_not_claimed_but_expired(provider: type[Scripted]) -> None:
    row = submit("a", expires_at=timezone.now() + timedelta(minutes=1))
    PushRequest.objects.update(expires_at=timezone.now())
    assert deliver(row.pk) is None
    assert provider.pushed == []
    assert relay.sweep().expired == 1
    row.refresh_from_db()
    assert (row.status, row.error_code) == (Status.EXPIRED, "expired")


def test_a_bug_in_a_backend_is_an_attempt_like_any_other(provider: type[Scripted]) -> None:
    provider.answers = {"b": ZeroDivisionError("bug")}
    row = submit("a", "b")
    assert deliver(row.pk) is Status.PENDING
    row.refresh_from_db()
    assert (row.accepted, row.error_code) == (1, "internal_error")


def test_a_backend_that_is_gone_is_reported_and_tried_again(
    provider: type[Scripted], settings: Settings
) -> None:
    row = submit("a")
    settings.PUSHJOBS = settings.PUSHJOBS | {"BACKENDS": {}}
    with pytest.raises(Exception, match="there is no push backend 'scripted'"):
        deliver(row.pk)
    row.refresh_from_db()
    assert (row.status, row.error_code) == (Status.PENDING, "internal_error")


def test_cancel_while_it_runs_stops_further_attempts(provider: type[Scripted]) -> None:
    row = submit("a", "b")

    class Cancel(Exception):
        pass

    def push(self: Scripted, message: Message, target: Target) -> Outcome:
        services.cancel(row.pk)
        return accepted() if target.address == "a" else outcome("retry")

    original, Scripted.push = Scripted.push, push  # type: ignore[method-assign]
    try:
        assert deliver(row.pk) is Status.PARTIAL
    finally:
        Scripted.push = original  # type: ignore[method-assign]
    row.refresh_from_db()
    assert (row.status, row.accepted, row.error_code) == (Status.PARTIAL, 1, "canceled")


def test_a_worker_that_lost_its_claim_changes_nothing(provider: type[Scripted]) -> None:
    row = submit("a")

    def push(self: Scripted, message: Message, target: Target) -> Outcome:
        # The lease runs out in the middle, and the relay hands the request to another worker.
        PushRequest.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        assert relay.sweep().recovered == 1
        return outcome("fail")

    original, Scripted.push = Scripted.push, push  # type: ignore[method-assign]
    try:
        assert deliver(row.pk) is None
    finally:
        Scripted.push = original  # type: ignore[method-assign]
    row.refresh_from_db()
    assert (row.status, row.error_code) == (Status.QUEUED, "worker_lost")
    assert not Delivery.objects.exists()
    assert deliver(row.pk) is Status.SUCCEEDED


def test_nobody_to_push_to_is_a_failure(provider: type[Scripted]) -> None:
    row = submit("a")
    PushRequest.objects.update(recipients=[])
    assert deliver(row.pk) is Status.FAILED
    row.refresh_from_db()
    assert row.error_code == "no_addresses"


def test_the_end_is_announced(provider: type[Scripted]) -> None:
    heard: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        heard.append(kwargs)

    push_request_finished.connect(listen)
    try:
        row = submit("a")
        deliver(row.pk)
    finally:
        push_request_finished.disconnect(listen)
    (fact,) = heard
    assert (fact["request_id"], fact["status"]) == (row.pk, Status.SUCCEEDED)
    assert fact["counts"]["accepted"] == 1


class TestRelay:
    def test_rings_for_what_is_due(self, provider: type[Scripted], redis: Redis) -> None:
        row = submit("a", send_at=timezone.now() + timedelta(hours=1))
        assert not relay.sweep()
        PushRequest.objects.update(next_attempt_at=timezone.now())
        assert relay.sweep().rung == 1
        assert not relay.sweep()
        assert redis.llen("rq:queue:pushjobs") == 1
        assert deliver(row.pk) is Status.SUCCEEDED

    def test_rings_again_where_redis_lost_its_memory(
        self, provider: type[Scripted], redis: Redis
    ) -> None:
        submit("a")
        PushRequest.objects.update(queued_at=timezone.now() - timedelta(hours=1))
        assert not relay.sweep()
        redis.flushdb()
        assert relay.sweep().rung == 1
        assert not relay.sweep()
        assert redis.llen("rq:queue:pushjobs") == 1

    def test_gives_up_on_a_request_whose_workers_always_die(
        self, provider: type[Scripted], settings: Settings
    ) -> None:
        settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_ATTEMPTS": 2}
        row = submit("a")
        for _ in range(2):
            PushRequest.objects.filter(status=Status.QUEUED).transition(
                Status.RUNNING, owner="dead", attempts=row.attempts + 1,
                lease_expires_at=timezone.now() - timedelta(seconds=1),
            )  # fmt: skip
            assert relay.sweep().recovered == 1
            row.refresh_from_db()
        assert (row.status, row.error_code, row.unknown) == (Status.FAILED, "worker_lost", 1)

    def test_frees_at_once_what_a_dead_process_had_claimed(self, provider: type[Scripted]) -> None:
        mine, dead, elsewhere = submit("a"), submit("b"), submit("c")
        with subprocess.Popen(["true"]) as gone:
            gone.wait()
        token = new_token()
        owners = {
            mine: token,
            dead: token.replace(f":{os.getpid()}:", f":{gone.pid}:"),
            elsewhere: f"another-host:{gone.pid}:1234",
        }
        for row, owner in owners.items():
            PushRequest.objects.filter(pk=row.pk).transition(
                Status.RUNNING, owner=f"{owner}:7", attempts=1,
                lease_expires_at=timezone.now() + timedelta(hours=1),
            )  # fmt: skip
        assert relay.sweep().recovered == 1
        statuses = dict(PushRequest.objects.values_list("pk", "status"))
        assert statuses == {mine.pk: "running", dead.pk: "queued", elsewhere.pk: "running"}
