"""Idempotency-Key: the first call acts, all get its answer."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.db import transaction as transactions
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pushjobs import relay
from django_pushjobs.models import IdempotencyRecord, PushRequest
from django_pushjobs.submission import idempotency
from tests.support.third_party import ThirdParty, problem

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"recipients": ["token"], "title": "Hello", "data": {"a": 1, "b": [1.5, None]}}


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def post(
    acme: ThirdParty, body: Any = BODY, key: str = '"k-1"', path: str = "", **more: str
) -> Any:
    return acme.post(path, body, Idempotency_Key=key, **more)


def test_a_repeat_gets_the_same_answer_and_does_nothing(acme: ThirdParty) -> None:
    first, again = post(acme), post(acme)
    row = PushRequest.objects.get()
    assert first.json()["id"] == str(row.pk)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    for header in ("Location", "Retry-After", "Content-Type", "Idempotency-Expires"):
        assert first.headers[header] == again.headers[header]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    until = parsedate_to_datetime(first.headers["Idempotency-Expires"])
    assert until >= timezone.now() + timedelta(hours=23, minutes=59)


def test_the_same_json_is_the_same_call_however_it_is_written(acme: ThirdParty) -> None:
    post(acme)
    again = post(
        acme,
        b'{"title":"Hello", "data": {"b": [1.5,null], "a":1},\n"recipients": ["\\u0074oken"]}',
    )
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["k-1", '"k-1"', ' "k-1" ', '"k-1";created=1'])
def test_a_key_may_be_bare(acme: ThirdParty, key: str) -> None:
    post(acme)
    assert post(acme, key=key).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", '"', '""', "a\tb", "é", '"a" "b"', "x" * 256, "?1" * 200])
def test_a_malformed_key_is_refused(acme: ThirdParty, key: str) -> None:
    response = post(acme, key=key)
    assert response.status_code == 400
    assert problem(response)["errors"][0]["parameter"] == "Idempotency-Key"
    assert not PushRequest.objects.exists()


def test_a_key_of_255_characters_is_fine(acme: ThirdParty) -> None:
    assert post(acme, key=f'"{"x" * 255}"').status_code == 202


def test_the_key_of_another_call_is_refused(acme: ThirdParty) -> None:
    post(acme)
    for other in (post(acme, BODY | {"title": "Bye"}), post(acme, {"items": [BODY]}, path="batch")):
        assert other.status_code == 422
        assert problem(other)["type"].endswith("idempotency-key-reused")
    assert PushRequest.objects.count() == 1


def test_case_counts_and_so_does_the_client(acme: ThirdParty) -> None:
    ids = {post(who, key=key).json()["id"] for who in (acme, ThirdParty("b")) for key in ("k", "K")}
    assert len(ids) == 4


def test_a_refusal_is_not_kept(acme: ThirdParty) -> None:
    assert post(acme, {"recipients": []}).status_code == 400
    assert post(acme).status_code == 202


def test_a_rehearsal_is_not_kept(acme: ThirdParty) -> None:
    assert post(acme, BODY | {"validate_only": True}).status_code == 204
    assert post(acme).status_code == 202


def test_a_batch_is_replayed_with_its_refusals(acme: ThirdParty) -> None:
    batch = {"items": [BODY, {"recipients": []}, BODY]}
    first, again = post(acme, batch, path="batch"), post(acme, batch, path="batch")
    assert [ticket["status"] for ticket in again.json()["items"]] == [202, 400, 202]
    assert first.content == again.content
    assert PushRequest.objects.count() == 2


def test_costs_two_looks_and_two_inserts(acme: ThirdParty) -> None:
    post(acme, key="warm")
    with CaptureQueriesContext(connection) as queries:
        post(acme)
    kinds = [query["sql"].split()[0] for query in queries]
    assert [kind for kind in kinds if kind not in ("BEGIN", "COMMIT", "SET")] == [
        *("SELECT", "SELECT", "INSERT", "INSERT")
    ]


def test_what_has_expired_is_forgotten(acme: ThirdParty) -> None:
    first = post(acme)
    IdempotencyRecord.objects.update(expires_at=timezone.now())
    second = post(acme)
    assert first.json()["id"] != second.json()["id"]
    assert "Idempotent-Replayed" not in second.headers


def test_the_relay_prunes_what_has_expired(acme: ThirdParty) -> None:
    post(acme, key="old")
    IdempotencyRecord.objects.update(expires_at=timezone.now())
    post(acme, key="young")
    relay.sweep()
    assert IdempotencyRecord.objects.count() == 1


def test_posts_at_the_same_moment_make_one_row(acme: ThirdParty) -> None:
    start = threading.Barrier(8)

    def call(_number: int) -> Any:
        start.wait()
        try:
            return [post(acme) for _ in range(3)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for answers in pool.map(call, range(8)) for answer in answers]
    assert PushRequest.objects.count() == 1
    assert Counter(a.status_code for a in answers) == {202: 24}
    assert sum("Idempotent-Replayed" not in a.headers for a in answers) == 1
    assert len({a.content for a in answers}) == 1


@contextmanager
def somebody_who_is_answering(acme: ThirdParty) -> Iterator[None]:
    """Hold the key in a transaction that does not end."""
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transactions.atomic():
                IdempotencyRecord.objects.create(
                    client=acme.client,
                    key=idempotency._digest("k-1"),
                    status=202,
                    body="",
                    expires_at=timezone.now() + timedelta(days=1),
                )
                holding.set()
                done.wait(60)
                transactions.set_rollback(True)
        finally:
            connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert holding.wait(60)
        yield
    finally:
        done.set()
        holder.join()


@pytest.mark.many_writers  # SQLite has one writer at a time: the others wait for the first.
def test_while_the_first_is_answered_the_others_are_told_to_come_back(
    acme: ThirdParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE", 1)
    with somebody_who_is_answering(acme):
        response = post(acme)
    assert response.status_code == 409
    assert response.headers["Retry-After"] == "1"
    assert problem(response)["type"].endswith("idempotency-in-progress")
    assert not PushRequest.objects.exists()
    assert post(acme).status_code == 202


def test_other_databases_tell_in_their_own_words_that_they_gave_up() -> None:
    error = OperationalError()
    error.__cause__ = Exception(1205, "Lock wait timeout exceeded")
    assert idempotency._waited_too_long(error)
    error.__cause__ = Exception("disk I/O error")
    assert not idempotency._waited_too_long(error)
