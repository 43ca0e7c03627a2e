"""Row, job and signal together."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import django_rq
import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from redis import Redis
from rq.serializers import JSONSerializer

from django_pushjobs import services
from django_pushjobs.exceptions import InvalidPushRequest, InvalidTransition
from django_pushjobs.models import ApiClient, PushRequest
from django_pushjobs.signals import push_request_canceled, push_request_submitted
from django_pushjobs.states import Status
from django_pushjobs.submission.submissions import Submission

pytestmark = pytest.mark.django_db(transaction=True)


def jobs() -> list[Any]:
    return django_rq.get_queue("pushjobs", serializer=JSONSerializer).jobs


def test_submit_stores_a_row_and_enqueues_its_key_only() -> None:
    row = services.submit(recipients=["token"], title="Hello", data={"a": 1}, reference="r-1")
    stored = PushRequest.objects.get()
    assert (stored.pk, stored.status, stored.reference) == (row.pk, Status.QUEUED, "r-1")
    assert (stored.backend, stored.total, stored.queued_at) == ("locmem", 1, stored.created_at)
    (job,) = jobs()
    assert job.id == f"push-{row.pk.hex}-1"
    assert job.func_name == "django_pushjobs.jobs.run_push_request"
    assert (list(job.args), job.kwargs) == ([str(row.pk)], {})


def test_rings_after_the_commit_and_not_before() -> None:
    with transaction.atomic():
        services.submit(recipients=["token"])
        assert jobs() == []
    assert len(jobs()) == 1


def test_a_rollback_leaves_nothing() -> None:
    with transaction.atomic():
        services.submit(recipients=["token"])
        transaction.set_rollback(True)
    assert not PushRequest.objects.exists()
    assert jobs() == []


def test_announces_what_was_submitted() -> None:
    heard: list[PushRequest] = []

    def listen(push_request: PushRequest, **kwargs: Any) -> None:
        heard.append(push_request)

    push_request_submitted.connect(listen)
    try:
        row = services.submit(recipients=["token"])
    finally:
        push_request_submitted.disconnect(listen)
    assert heard == [row]


def test_what_is_sent_later_waits_without_a_job() -> None:
    later = timezone.now() + timedelta(hours=1)
    row = services.submit(recipients=["token"], send_at=later)
    assert (row.status, row.next_attempt_at, row.queued_at) == (Status.PENDING, later, None)
    assert jobs() == []


def test_many_at_once_keep_their_order() -> None:
    rows = services.submit_many([Submission(recipients=[f"token-{i}"]) for i in range(250)])
    assert [row.recipients for row in rows] == [[f"token-{i}"] for i in range(250)]
    assert [job.args[0] for job in jobs()] == [str(row.pk) for row in rows]
    assert sorted(row.pk for row in rows) == [row.pk for row in PushRequest.objects.order_by("id")]


def test_one_bad_item_stores_none_and_is_named() -> None:
    with pytest.raises(InvalidPushRequest) as caught:
        services.submit_many([Submission(recipients=["a"]), Submission(recipients=[])])
    assert [error.pointer for error in caught.value.errors] == ["/1/recipients"]
    assert not PushRequest.objects.exists()


def test_priorities_have_queues(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "QUEUES": {"high": "default", "normal": "pushjobs", "low": "pushjobs"}
    }
    services.submit_many(
        [Submission(recipients=["a"], priority=p) for p in ("low", "high", "normal")]
    )
    assert django_rq.get_queue("default").count == 1
    assert django_rq.get_queue("pushjobs").count == 2


def test_without_redis_the_row_waits_for_the_relay(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        queue = django_rq.settings.QUEUES["pushjobs"]
        django_rq.settings.QUEUES["pushjobs"] = queue | {"URL": f"redis://127.0.0.1:{port}/0"}
        try:
            row = services.submit(recipients=["token"])
        finally:
            django_rq.settings.QUEUES["pushjobs"] = queue
    row.refresh_from_db()
    assert row.status == Status.PENDING
    assert row.next_attempt_at is not None


class TestCancel:
    def test_takes_the_job_off_its_queue(self) -> None:
        heard: list[Any] = []

        def listen(request_id: Any, **kwargs: Any) -> None:
            heard.append(request_id)

        push_request_canceled.connect(listen)
        row = services.submit(recipients=["token"])
        try:
            canceled = services.cancel(row.pk)
        finally:
            push_request_canceled.disconnect(listen)
        assert canceled.status == Status.CANCELED
        assert canceled.finished_at is not None
        assert jobs() == []
        assert heard == [row.pk]

    def test_is_idempotent(self) -> None:
        row = services.submit(recipients=["token"])
        assert services.cancel(row.pk).finished_at == services.cancel(row.pk).finished_at

    def test_of_a_running_one_is_noted(self) -> None:
        row = services.submit(recipients=["token"])
        run(row)
        canceled = services.cancel(row.pk)
        assert canceled.status == Status.RUNNING
        assert canceled.cancel_requested_at is not None

    def test_of_a_final_one_is_refused(self) -> None:
        row = services.submit(recipients=["token"])
        run(row)
        PushRequest.objects.transition(Status.SUCCEEDED)
        with pytest.raises(InvalidTransition, match="cannot cancel a push request that is succ"):
            services.cancel(row.pk)

    def test_of_an_unknown_one_is_an_error(self) -> None:
        with pytest.raises(PushRequest.DoesNotExist):
            services.cancel(PushRequest().pk)


class TestRetry:
    def test_rings_again_with_fresh_attempts(self, redis: Redis) -> None:
        row = services.submit(recipients=["token"])
        run(row)
        PushRequest.objects.transition(Status.FAILED, error_code="http_400", error="no")
        redis.flushdb()
        again = services.retry(row.pk)
        assert (again.status, again.error_code, again.finished_at) == (Status.QUEUED, "", None)
        assert (again.counted_attempts, again.attempt_limit) == (0, row.attempt_limit)
        assert [job.id for job in jobs()] == [f"push-{row.pk.hex}-2"]

    def test_of_one_that_waits_is_refused(self) -> None:
        row = services.submit(recipients=["token"])
        with pytest.raises(InvalidTransition, match="cannot retry a push request that is queued"):
            services.retry(row.pk)


def run(row: PushRequest) -> None:
    """Claim it, as a worker does."""
    assert PushRequest.objects.filter(pk=row.pk).transition(
        Status.RUNNING, owner="worker", lease_expires_at=timezone.now(), attempts=1
    )


def test_a_client_with_requests_is_protected() -> None:
    client = ApiClient.objects.create(name="shop")
    services.submit(recipients=["token"], client=client)
    with pytest.raises(Exception, match="protected"):
        client.delete()


def test_enqueuing_may_wait_for_the_callers_transaction(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with transaction.atomic(), django_capture_on_commit_callbacks() as callbacks:
        services.submit(recipients=["token"])
    assert len(callbacks) == 1


def test_columns_that_nobody_set_stand_at_their_defaults() -> None:
    plain, full = services.submit_many(
        [
            Submission(recipients=["a"]),
            Submission(recipients=["b"], reference="r", collapse_key="k", priority="high"),
        ]
    )
    single = services.submit(recipients=["a"])
    for row in (plain, single):
        stored = PushRequest.objects.get(pk=row.pk)
        for field in PushRequest._meta.concrete_fields:
            assert getattr(stored, field.attname) == getattr(row, field.attname), field.name
    stored = PushRequest.objects.get(pk=full.pk)
    assert (stored.reference, stored.collapse_key, stored.priority) == ("r", "k", "high")
    assert (stored.error_code, stored.attempts, stored.enqueues, stored.owner) == (
        "",
        0,
        0,
        "",
    )
