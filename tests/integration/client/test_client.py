"""The client for third parties, over WSGI: what it sends is what the API takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.core.wsgi import get_wsgi_application
from django.utils import timezone

from django_pushjobs.client import (
    AuthenticationFailed,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Problem,
    PushClient,
    PushRequest,
    RateLimited,
    Unavailable,
    Unreachable,
)
from django_pushjobs.models import ApiKey
from django_pushjobs.models import PushRequest as Row
from django_pushjobs.states import Status
from tests.support.samples import some_deliveries
from tests.support.third_party import ThirdParty

pytestmark = pytest.mark.django_db(transaction=True)

URL = "http://testserver/api/v1"


class Line(httpx.BaseTransport):
    """The way to the application. ``faults`` come first: each takes the place of an answer, or
    of its return where it says that the call has arrived."""

    def __init__(self) -> None:
        self.inner = httpx.WSGITransport(app=get_wsgi_application())
        self.faults: list[Callable[[], httpx.Response]] = []
        self.lost_answers = 0
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if self.faults:
            return self.faults.pop(0)()
        answer = self.inner.handle_request(request)
        if self.lost_answers:
            self.lost_answers -= 1
            raise httpx.ReadError("the line broke")
        return answer


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def client(acme: ThirdParty, line: Line) -> Iterator[PushClient]:
    with PushClient(URL, acme.secret, transport=line, patience=5) as client:
        yield client


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr("django_pushjobs.client.http.time.sleep", slept.append)
    return slept


def refusal(status: int, **headers: str) -> Callable[[], httpx.Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: httpx.Response(status, headers=named, json={"title": "No", "detail": "later"})


def finish(request: PushRequest, status: Status = Status.FAILED) -> None:
    Row.objects.filter(pk=request.id).update(
        status=status, finished_at=timezone.now(), updated_at=timezone.now(), error_code="gone"
    )


def test_submit(client: PushClient) -> None:
    end = datetime.now(UTC) + timedelta(days=1)
    request = client.submit(["token"], title="Hello", reference="r-1", expires_at=end, body=None)
    assert (request.status, request.done, request.reference) == ("queued", False, "r-1")
    assert request.counts.total == 1
    row = Row.objects.get()
    assert (str(row.pk), row.title, row.expires_at) == (request.id, "Hello", end)
    assert client.get(request) == client.get(request.id) == request


def test_submit_many(client: PushClient) -> None:
    good, bad = client.submit_many([{"recipients": ["token"]}, {"recipients": []}])
    assert isinstance(good, PushRequest)
    assert isinstance(bad, Problem)
    assert (bad.status, bad.errors[0]["pointer"]) == (400, "/items/1/recipients")


def test_wait_returns_the_end(client: PushClient, line: Line, pauses: list[float]) -> None:
    request = client.submit(["token"])
    with pytest.raises(TimeoutError):
        client.wait(request, timeout=0)
    pauses.clear()

    class Ending(list[float]):
        def append(self, seconds: float) -> None:
            super().append(seconds)
            finish(request)

    ending = Ending()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django_pushjobs.client.http.time.sleep", ending.append)
        ended = client.wait(request)
    assert (ended.status, ended.done) == ("failed", True)
    assert ended.error is not None
    assert ended.error.code == "gone"
    assert ending == [1.0]  # POLL_INTERVAL
    assert line.seen[-1].headers["If-None-Match"]


def test_receipts_and_lists_come_page_by_page(client: PushClient) -> None:
    request = client.submit(["token"], reference="r-1")
    some_deliveries(Row.objects.get(), 120)
    receipts = list(client.receipts(request))
    assert len({receipt.id for receipt in receipts}) == 120
    # The request named none of these.
    assert {receipt.address for receipt in receipts} == {None}
    assert receipts[0].status in {"accepted", "failed"}
    client.submit_many([{"recipients": ["token"], "reference": "r-2"}] * 60)
    assert len(list(client.list(reference="r-2", status=["queued", "running"]))) == 60
    assert [found.id for found in client.list(reference="r-1")] == [request.id]


def test_cancel_and_retry(client: PushClient) -> None:
    request = client.submit(["token"])
    with pytest.raises(Conflict):
        client.retry(request)
    assert client.cancel(request).status == "canceled"


def test_problems_are_errors(client: PushClient, acme: ThirdParty, line: Line) -> None:
    with pytest.raises(InvalidRequest) as invalid:
        client.submit([], titel="x")
    assert {e["pointer"] for e in invalid.value.problem.errors} == {"/recipients", "/titel"}
    assert "/titel is not a known field" in str(invalid.value)
    assert invalid.value.problem.request_id
    with pytest.raises(NotFound):
        client.get("00000000-0000-7000-8000-000000000000")
    ApiKey.objects.update(scopes=["read"])
    with pytest.raises(Forbidden, match="submit"):
        client.submit(["token"])
    stranger = PushClient(URL, "wrong.key", transport=line)
    with stranger, pytest.raises(AuthenticationFailed):
        stranger.submit(["token"])


def test_a_lost_answer_is_asked_for_again_and_nothing_happens_twice(
    client: PushClient, line: Line, pauses: list[float]
) -> None:
    line.lost_answers = 2
    request = client.submit(["token"])
    assert str(Row.objects.get().pk) == request.id
    assert len({call.headers["Idempotency-Key"] for call in line.seen}) == 1
    assert len(pauses) == 2
    assert client.submit(["token"]).id != request.id


def test_a_key_of_ones_own(client: PushClient) -> None:
    first = client.submit(["token"], idempotency_key="order-1")
    assert client.submit(["token"], idempotency_key="order-1").id == first.id
    with pytest.raises(InvalidRequest, match="422"):
        client.submit(["other"], idempotency_key="order-1")


def test_retry_after_is_honoured(client: PushClient, line: Line, pauses: list[float]) -> None:
    line.faults = [
        refusal(429, Retry_After="3"),
        refusal(503, Retry_After="2"),
        refusal(409, Retry_After="1"),
    ]
    client.submit(["token"])
    assert [pause >= least for pause, least in zip(pauses, [3, 2, 1], strict=True)] == [True] * 3


def test_it_does_not_wait_beyond_its_patience(
    client: PushClient, line: Line, pauses: list[float]
) -> None:
    line.faults = [refusal(429, Retry_After="6")]
    with pytest.raises(RateLimited) as limited:
        client.submit(["token"])
    assert (limited.value.retry_after, pauses) == (6.0, [])


def test_what_waiting_does_not_mend_is_not_repeated(
    client: PushClient, acme: ThirdParty, pauses: list[float]
) -> None:
    acme.client.daily_quota = 1
    acme.client.save()
    with pytest.raises(RateLimited) as limited:
        client.submit_many([{"recipients": ["token"]}] * 2)
    assert (limited.value.violated, pauses) == (("day",), [])


def test_nobody_answers(acme: ThirdParty, line: Line, pauses: list[float]) -> None:
    def silence() -> httpx.Response:
        raise httpx.ConnectError("refused")

    line.faults = [silence, refusal(500)]
    with PushClient(URL, acme.secret, transport=line, patience=0) as client:
        with pytest.raises(Unreachable):
            client.submit(["token"])
        with pytest.raises(Unavailable):
            client.submit(["token"])
    assert pauses == []


@pytest.mark.parametrize("limit", ["MAX_ANSWER", "timeout"])
def test_an_answer_that_never_ends_is_none(
    acme: ThirdParty, line: Line, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    given = []

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                given.append(1)
                yield bytes(1_000)

    if limit == "MAX_ANSWER":
        monkeypatch.setattr("django_pushjobs.client.http.MAX_ANSWER", 10_000)
    timeout = 30 if limit == "MAX_ANSWER" else 0.1
    line.faults.append(lambda: httpx.Response(200, stream=Endless()))
    with (
        PushClient(URL, acme.secret, transport=line, patience=0, timeout=timeout) as client,
        pytest.raises(Unreachable),
    ):
        client.get("x")
    assert limit == "timeout" or len(given) == 11
