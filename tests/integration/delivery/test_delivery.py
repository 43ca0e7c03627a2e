"""One attempt: claim, resolve, push, settle; and what the relay does where an attempt is lost."""

from __future__ import annotations

import os
import subprocess
import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

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
from django_pushjobs.broker.queues import JobTimeout
from django_pushjobs.delivery import attempts, parts
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.delivery.bulkhead import Bulkhead
from django_pushjobs.jobs import run_push_request
from django_pushjobs.lifecycle import dispatch
from django_pushjobs.models import Delivery, PushRequest
from django_pushjobs.models.identifiers import delivery_id, first_uuid
from django_pushjobs.runtime import greenlets
from django_pushjobs.runtime.processes import new_token
from django_pushjobs.signals import push_request_finished
from django_pushjobs.states import DeliveryStatus, Status
from tests.support.scripted import everything_is_due
from tests.support.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


class Scripted(BasePushBackend):
    """Answers what the test says for an address; the address itself names the class otherwise."""

    script: dict[str, Outcome | Exception]
    pushed: list[Target]

    def push(self, message: Message, target: Target) -> Outcome:
        self.pushed.append(target)
        answer = self.script.get(target.address, accepted(f"id-of-{target.address}"))
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def provider(settings: Settings) -> type[Scripted]:
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "BACKENDS": {"scripted": {"BACKEND": f"{__name__}.Scripted"}},
        "DEFAULT_BACKEND": "scripted",
    }
    Scripted.script, Scripted.pushed = {}, []
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
    provider.script = {f"{i}-{kind}": outcome(kind) for i, kind in enumerate(kinds)}
    row = submit(*provider.script)
    assert deliver(row.pk) is status
    row.refresh_from_db()
    assert row.status == status
    assert (row.total, row.accepted, row.failed, row.dropped) == counts
    assert row.deliveries.count() == len(kinds)
    assert (row.next_attempt_at is not None) == (status is Status.PENDING)


def test_only_what_failed_is_pushed_again(provider: type[Scripted]) -> None:
    provider.script = {"b": outcome("retry", retry_after=30.0), "c": outcome("drop")}
    row = submit("a", "b", "c")
    before = timezone.now()
    deliver(row.pk)
    row.refresh_from_db()
    assert row.next_attempt_at is not None
    assert row.next_attempt_at >= before + timedelta(seconds=30)
    assert row.error_code == "retry_code" or row.error_code == "drop_code"
    provider.script, provider.pushed = {}, []
    everything_is_due()
    assert relay.sweep().enqueued == 1
    assert deliver(row.pk) is Status.PARTIAL
    assert [target.address for target in provider.pushed] == ["b"]
    row.refresh_from_db()
    assert (row.total, row.accepted, row.dropped, row.attempts) == (3, 2, 1, 2)
    assert row.deliveries.get(address="b").attempts == 2


def test_attempts_come_to_an_end(provider: type[Scripted], settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_ATTEMPTS": 2, "RETRY_BASE": 0.0}
    provider.script = {"a": outcome("retry")}
    row = submit("a")
    assert deliver(row.pk) is Status.PENDING
    assert relay.sweep().enqueued == 1
    assert deliver(row.pk) is Status.FAILED
    row.refresh_from_db()
    assert (row.failed, row.error_code, row.error) == (1, "retry_code", "retry detail")
    # Asked for again, it has as many attempts as in the beginning.
    services.retry(row.pk)
    assert deliver(row.pk) is Status.PENDING


def test_what_may_pass_is_tried_again_for_a_day(provider: type[Scripted]) -> None:
    kinds = ("retry", "reconnect", "throttle")
    provider.script = {kind: outcome(kind) for kind in kinds}
    row = submit(*kinds)
    for _ in range(20):
        assert deliver(row.pk) is Status.PENDING
        everything_is_due()
        relay.sweep()
    row.refresh_from_db()
    assert row.started_at is not None
    day = timedelta(days=1)
    PushRequest.objects.update(started_at=timezone.now() - day + timedelta(seconds=30))
    assert deliver(row.pk) is Status.PENDING
    row.refresh_from_db()
    # The last attempt is not made before the end.
    assert row.next_attempt_at <= row.started_at + day
    PushRequest.objects.update(started_at=timezone.now() - day)
    everything_is_due()
    relay.sweep()
    assert deliver(row.pk) is Status.FAILED
    row.refresh_from_db()
    assert (row.failed, row.counted_attempts) == (3, 22)
    # Asked for again, it has another day.
    services.retry(row.pk)
    assert deliver(row.pk) is Status.PENDING


def test_the_day_begins_with_the_first_attempt(provider: type[Scripted]) -> None:
    provider.script = {"a": outcome("retry")}
    row = submit("a")
    PushRequest.objects.update(created_at=timezone.now() - timedelta(days=3))
    assert deliver(row.pk) is Status.PENDING


def test_no_attempt_after_its_time(provider: type[Scripted]) -> None:
    provider.script = {"a": outcome("retry", retry_after=3600.0)}
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
    provider.script = {"b": ZeroDivisionError("bug")}
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


def test_an_interrupted_attempt_begins_no_further_push(
    provider: type[Scripted], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"FANOUT": 2}
    free, begun = threading.Event(), provider.pushed

    def slow(self: Scripted, message: Message, target: Target) -> Outcome:
        begun.append(target)
        assert free.wait(30)
        return accepted()

    def interrupted(futures: object) -> None:
        eventually(lambda: len(begun) == 2)
        raise JobTimeout("too long")

    monkeypatch.setattr(attempts, "cooperative", lambda: True)
    monkeypatch.setattr(attempts, "wait", interrupted)
    monkeypatch.setattr(provider, "push", slow)
    row = submit(*"abcdef")
    threads = threading.active_count()
    with pytest.raises(JobTimeout):
        deliver(row.pk)
    free.set()
    eventually(lambda: threading.active_count() == threads)
    assert len(begun) == 2
    # Two may have arrived; the others have not been sent.
    codes = row.deliveries.values_list("error_code", "attempts")
    assert set(codes) == {("job_timeout", 1)}
    row.refresh_from_db()
    assert (row.status, row.total, row.unknown) == (Status.PENDING, 6, 0)


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
        assert relay.sweep().enqueued == 1
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
        assert relay.sweep().enqueued == 1
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

    @pytest.mark.parametrize("met", ["lost", "refused"])
    def test_what_loses_five_workers_has_lost_enough(
        self, provider: type[Scripted], met: str
    ) -> None:
        provider.script = {"a": outcome("retry")}
        row = submit("a")
        PushRequest.objects.update(started_at=timezone.now())
        for _ in range(4):
            deliver(row.pk) if met == "refused" else lose(row)
            row.refresh_from_db()
            assert row.status in (Status.PENDING, Status.QUEUED)
            everything_is_due()
            relay.sweep()
        lose(row)
        row.refresh_from_db()
        assert row.status == (Status.FAILED if met == "lost" else Status.QUEUED)

    def test_leaves_leases_alone_after_an_outage_in_which_nobody_could_renew_them(
        self, provider: type[Scripted]
    ) -> None:
        row = submit("a")
        PushRequest.objects.filter(pk=row.pk).transition(
            Status.RUNNING, owner="away", attempts=1,
            lease_expires_at=timezone.now() - timedelta(seconds=1),
        )  # fmt: skip
        assert relay.sweep(lenient=True).recovered == 0
        assert relay.sweep().recovered == 1

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


class TestUnknown:
    """Sent, and nobody saw the answer."""

    def test_is_pushed_again_unless_somebody_says_stop(self, provider: type[Scripted]) -> None:
        provider.script = {"a": outcome("reconnect", unknown=True)}
        again, stopped = submit("a"), submit("a", on_unknown="stop")
        assert deliver(again.pk) is Status.PENDING
        assert deliver(stopped.pk) is Status.FAILED
        stopped.refresh_from_db()
        assert (stopped.unknown, stopped.failed) == (1, 0)
        assert stopped.deliveries.get().status == DeliveryStatus.UNKNOWN

    def test_is_what_is_left_when_attempts_come_to_an_end(
        self, provider: type[Scripted], settings: Settings
    ) -> None:
        settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_ATTEMPTS": 1}
        provider.script = {"a": outcome("retry", unknown=True), "b": outcome("retry")}
        row = submit("a", "b")
        assert deliver(row.pk) is Status.FAILED
        row.refresh_from_db()
        assert (row.unknown, row.failed) == (1, 1)

    def test_a_backend_has_a_rule_for_those_who_do_not_say(
        self, provider: type[Scripted], settings: Settings
    ) -> None:
        settings.PUSHJOBS = settings.PUSHJOBS | {
            "BACKENDS": {
                "scripted": {"BACKEND": f"{__name__}.Scripted", "ON_UNKNOWN": "stop"},
            }
        }
        assert submit("a").on_unknown == "stop"
        assert submit("a", on_unknown="retry").on_unknown == "retry"

    def test_nothing_is_pushed_after_a_loss_where_that_says_stop(
        self, provider: type[Scripted]
    ) -> None:
        row = submit("a", "b", on_unknown="stop")
        lose(row)
        assert deliver(row.pk) is Status.FAILED
        assert provider.pushed == []
        row.refresh_from_db()
        assert (row.unknown, row.error_code) == (2, "worker_lost")
        assert {d.status for d in row.deliveries.all()} == {DeliveryStatus.UNKNOWN}
        # Asked for by a person, it is pushed all the same.
        services.retry(row.pk)
        assert deliver(row.pk) is Status.SUCCEEDED


def lose(row: PushRequest) -> None:
    """Claim ``row`` for a worker that dies, and let the relay find out."""
    PushRequest.objects.filter(pk=row.pk).transition(
        Status.RUNNING, owner="dead", attempts=row.attempts + 1,
        lease_expires_at=timezone.now() - timedelta(seconds=1),
    )  # fmt: skip
    assert relay.sweep().recovered == 1


class TestJournal:
    def test_holds_what_did_not_end_at_once(self, provider: type[Scripted]) -> None:
        smooth, bumpy = submit("smooth"), submit("bumpy")
        deliver(smooth.pk)
        lose(bumpy)
        provider.script = {"bumpy": outcome("retry")}
        deliver(bumpy.pk)
        everything_is_due()
        relay.sweep()
        provider.script = {}
        deliver(bumpy.pk)
        assert not smooth.journal.exists()
        entries = list(bumpy.journal.values_list("number", "end", "error_code", "codes"))
        assert entries == [
            (1, "lost", "worker_lost", {}),
            (2, "retry", "retry_code", {"retry_code": 1}),
            (3, "settled", "", {}),
        ]


class TestBulkhead:
    def test_one_backend_does_not_take_the_slots_of_another(
        self, provider: type[Scripted], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(greenlets, "_slots", 4)
        bulkhead = Bulkhead()
        slow = [PushRequest(backend="slow") for _ in range(8)]
        # Alone it may have them all; beside another one, three of four.
        assert bulkhead.excess(slow[:4], ()) == []
        other = PushRequest(backend="other")
        assert bulkhead.excess([*slow[2:], other], held=slow[:2]) == slow[3:]
        assert bulkhead.excess([slow[7], other], held=slow[:3]) == [slow[7]]

    def test_a_large_request_does_not_take_all_slots_and_all_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("django_pushjobs.delivery.bulkhead.MAX_PART_ADDRESSES", 2_000)
        whole = [PushRequest(backend="one", total=5_000) for _ in range(4)]
        parts = [PushRequest(backend="one", parent_id=uuid4(), total=1_000) for _ in range(4)]
        bulkhead = Bulkhead()
        assert bulkhead.excess([*parts, *whole], held=whole) == parts[2:]
        assert bulkhead.excess([*parts[1:], *whole], held=parts[:1]) == parts[2:]
        # One is always taken, however large it is.
        monkeypatch.setattr("django_pushjobs.delivery.bulkhead.MAX_PART_ADDRESSES", 10)
        assert bulkhead.excess(parts, held=whole) == parts[1:]

    def test_a_request_without_room_waits_and_loses_no_attempt(
        self, provider: type[Scripted], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Bulkhead, "excess", lambda self, rows, held: list(rows))
        row = submit("a")
        assert deliver(row.pk) is None
        row.refresh_from_db()
        assert (row.status, row.attempts, provider.pushed) == (Status.PENDING, 0, [])


class TestParts:
    """A request with more addresses than PART_SIZE."""

    @pytest.fixture(autouse=True)
    def small_parts(self, provider: type[Scripted], settings: Settings) -> None:
        settings.PUSHJOBS = settings.PUSHJOBS | {"PART_SIZE": 3}

    @staticmethod
    def work() -> None:
        """Do what a worker and the relay do until nothing is left to do."""
        for _ in range(20):
            PushRequest.objects.filter(owner="parts").update(lease_expires_at=timezone.now())
            everything_is_due()
            relay.sweep()
            for pk in PushRequest.objects.filter(status=Status.QUEUED).values_list("pk", flat=True):
                deliver(pk)

    def test_is_pushed_in_parts_and_told_as_one(self, provider: type[Scripted]) -> None:
        heard: list[Any] = []

        def listen(request_id: Any, **kwargs: Any) -> None:
            heard.append(request_id)

        addresses = [f"a{i}" for i in range(8)]
        provider.script = {"a0": outcome("drop"), "a7": outcome("retry")}
        row = submit(*addresses)
        push_request_finished.connect(listen)
        try:
            assert deliver(row.pk) is None
            row.refresh_from_db()
            assert (row.status, row.owner, row.total) == (Status.RUNNING, "parts", 8)
            assert sorted(row.parts.values_list("total", flat=True)) == [2, 3, 3]
            provider.script.pop("a7")
            self.work()
        finally:
            push_request_finished.disconnect(listen)
        row.refresh_from_db()
        assert (row.status, row.total, row.accepted, row.dropped) == (Status.PARTIAL, 8, 7, 1)
        assert row.result == {"codes": {"drop_code": 1}}
        assert sorted(d.address for d in row.deliveries.all()) == addresses
        assert {t.delivery_id for t in provider.pushed} == {
            delivery_id(row.pk, address) for address in addresses
        }
        assert heard == [row.pk]

    def test_a_worker_that_dies_over_the_cutting_loses_and_repeats_nothing(
        self, provider: type[Scripted], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = submit(*(f"a{i}" for i in range(8)))
        real, cuts = parts._store, []

        def dies(part: PushRequest, using: str) -> None:
            real(part, using)
            cuts.append(part)
            if len(cuts) == 2:
                raise GeneratorExit

        monkeypatch.setattr(parts, "_store", dies)
        with pytest.raises(GeneratorExit):
            deliver(row.pk)
        PushRequest.objects.filter(pk=row.pk).update(
            lease_expires_at=timezone.now() - timedelta(seconds=1)
        )
        self.work()
        row.refresh_from_db()
        assert (row.status, row.accepted) == (Status.SUCCEEDED, 8)
        assert len(provider.pushed) == 8

    def test_can_be_canceled_in_the_middle(self, provider: type[Scripted]) -> None:
        row = submit(*(f"a{i}" for i in range(8)))
        deliver(row.pk)
        part = row.parts.order_by("id").first()
        assert part is not None
        deliver(part.pk)
        services.cancel(row.pk)
        self.work()
        row.refresh_from_db()
        assert (row.status, row.accepted) == (Status.PARTIAL, part.total)
        assert row.error_code == "canceled"
        assert len(provider.pushed) == part.total

    def test_a_retry_is_for_what_failed(self, provider: type[Scripted]) -> None:
        provider.script = {"a1": outcome("fail"), "a5": outcome("drop")}
        row = submit(*(f"a{i}" for i in range(7)))
        self.work()
        row.refresh_from_db()
        assert (row.status, row.failed, row.dropped) == (Status.PARTIAL, 1, 1)
        provider.script, provider.pushed = {}, []
        services.retry(row.pk)
        self.work()
        row.refresh_from_db()
        assert (row.status, row.accepted, row.dropped) == (Status.PARTIAL, 6, 1)
        assert [target.address for target in provider.pushed] == ["a1"]


class TestRetention:
    def test_what_ended_long_ago_is_deleted(
        self, provider: type[Scripted], settings: Settings
    ) -> None:
        old, waiting, fresh = (submit("a") for _ in range(3))
        deliver(old.pk)
        assert relay.sweep().pruned == 0
        long_ago = timezone.now() - timedelta(days=8)
        for row in (old, waiting):
            PushRequest.objects.filter(pk=row.pk).delete()
            row.pk = first_uuid(long_ago)
            long_ago += timedelta(seconds=1)
            row.status, row.finished_at = Status.SUCCEEDED, long_ago
            row.save(force_insert=True)
        PushRequest.objects.filter(pk=waiting.pk).update(status=Status.QUEUED, finished_at=None)
        settings.PUSHJOBS = settings.PUSHJOBS | {"RETENTION": 7 * 86_400.0}
        assert relay.sweep().pruned == 1
        assert set(PushRequest.objects.values_list("pk", flat=True)) == {waiting.pk, fresh.pk}


@pytest.mark.usefixtures("no_redis")
def test_without_redis_what_is_due_stays_as_it_is(provider: type[Scripted]) -> None:
    row = submit("a")
    row.refresh_from_db()
    assert row.status == Status.PENDING
    before = row.updated_at
    assert dispatch.enqueue_due(10) == 0
    row.refresh_from_db()
    assert (row.status, row.enqueues, row.updated_at) == (Status.PENDING, 0, before)
