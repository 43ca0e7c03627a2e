"""The limits of a client as it meets them: refused in time, and never for longer than told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from django_pushjobs import services
from django_pushjobs.events.change import Change
from django_pushjobs.lifecycle.announcements import publish
from django_pushjobs.lifecycle.publisher import publisher
from django_pushjobs.limits import admission
from django_pushjobs.models import PushRequest
from django_pushjobs.states import Status
from tests.support.third_party import ThirdParty, problem

pytestmark = pytest.mark.django_db(transaction=True)

ONE = {"recipients": ["token"]}


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def limit(acme: ThirdParty, **limits: int | None) -> None:
    for name, value in limits.items():
        setattr(acme.client, name, value)
    acme.client.save()


def told(response: Any) -> dict[str, dict[str, int]]:
    """Return what ``RateLimit`` says: policy -> parameters."""
    header = response.headers.get("RateLimit", "")
    return {
        name: {key: int(value) for key, value in re.findall(r";(\w)=(\d+)", parameters)}
        for name, parameters in re.findall(r'"(\w+)"((?:;\w=\d+)*)', header)
    }


def exceeded(response: Any, policy: str) -> dict[str, Any]:
    """Make sure that ``response`` is a 429 for ``policy`` and return it."""
    assert response.status_code == 429, response.content
    members = problem(response)
    assert members["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert members["violated-policies"] == [policy]
    if "Retry-After" in response.headers:
        assert int(response.headers["Retry-After"]) >= told(response)[policy].get("t", 0)
    return members


def test_without_limits_there_are_no_headers(acme: ThirdParty, redis: Redis) -> None:
    assert not [name for name in acme.post(body=ONE).headers if name.startswith("RateLimit")]
    assert redis.keys("{tests}:*") == []


def test_calls_in_a_window(acme: ThirdParty) -> None:
    limit(acme, rate_limit=3)
    answers = [acme.get() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [told(answer)["burst"]["r"] for answer in answers] == [2, 1, 0, 0]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"burst";q=3;w=60'}
    exceeded(answers[-1], "burst")
    assert 19 <= int(answers[-1].headers["Retry-After"]) <= 20
    assert 19 <= told(answers[0])["burst"]["t"] <= 20


def test_the_settings_hold_where_the_client_has_none(acme: ThirdParty, settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"RATE_LIMIT": 1, "RATE_WINDOW": 3_600}
    assert acme.get().headers["RateLimit-Policy"] == '"burst";q=1;w=3600'
    assert acme.get().status_code == 429
    assert ThirdParty("other").get().status_code == 200
    limit(acme, rate_limit=0)
    assert acme.get().status_code == 200


def test_a_wrong_key_costs_its_owner_nothing(acme: ThirdParty) -> None:
    limit(acme, rate_limit=1)
    assert acme.get(Authorization=f"Bearer {acme.key.prefix}.wrong").status_code == 401
    assert acme.get().status_code == 200


def test_push_requests_a_day(acme: ThirdParty) -> None:
    limit(acme, daily_quota=3)
    assert told(acme.get()) == {}
    first = acme.post(body=ONE)
    assert first.headers["RateLimit-Policy"] == '"day";q=3;w=86400'
    assert told(first)["day"]["r"] == 2
    assert 0 < told(first)["day"]["t"] <= 86_400
    refused = acme.post("batch", {"items": [ONE] * 3})
    assert "3 were asked for and 2 are left" in exceeded(refused, "day")["detail"]
    assert "Retry-After" in refused.headers
    # What is wrong does not count, and nothing of a batch that was refused.
    assert acme.post("batch", {"items": [ONE, {}, ONE]}).status_code == 202
    exceeded(acme.post(body=ONE), "day")
    assert acme.post(body={}).status_code == 400
    assert PushRequest.objects.count() == 3


def test_a_batch_that_can_never_be_admitted(acme: ThirdParty) -> None:
    limit(acme, daily_quota=1)
    refused = acme.post("batch", {"items": [ONE, ONE]})
    exceeded(refused, "day")
    assert "Retry-After" not in refused.headers
    assert acme.post(body=ONE).status_code == 202


def test_unfinished_push_requests(acme: ThirdParty) -> None:
    limit(acme, max_unfinished=2)
    first = acme.post(body=ONE)
    assert first.headers["RateLimit-Policy"] == '"unfinished";q=2;qu="concurrent-requests"'
    assert told(first) == {"unfinished": {"r": 1}}
    exceeded(acme.post("batch", {"items": [ONE] * 2}), "unfinished")
    assert acme.post(body=ONE).status_code == 202
    refused = acme.post(body=ONE)
    assert exceeded(refused, "unfinished")["violated-policies"] == ["unfinished"]
    assert refused.headers["Retry-After"] == "5"
    # One that ends makes room.
    assert acme.post(f"{first.json()['id']}/cancel").json()["status"] == "canceled"
    assert publisher().flush(10)
    assert acme.post(body=ONE).status_code == 202


def test_a_retry_counts_like_a_submission(acme: ThirdParty) -> None:
    limit(acme, daily_quota=2, max_unfinished=1)
    first = acme.post(body=ONE).json()
    PushRequest.objects.update(status=Status.FAILED, finished_at=timezone.now())
    publish([Change.of(row) for row in PushRequest.objects.all()])
    assert publisher().flush(10)
    assert acme.post(f"{first['id']}/retry").status_code == 202
    exceeded(acme.post(body=ONE), "unfinished")
    # What cannot be retried takes nothing.
    assert acme.post(f"{first['id']}/retry").status_code in (409, 429)
    PushRequest.objects.update(status=Status.FAILED, finished_at=timezone.now())
    publish([Change.of(row) for row in PushRequest.objects.all()])
    assert publisher().flush(10)
    exceeded(acme.post(f"{first['id']}/retry"), "day")
    assert PushRequest.objects.get().status == Status.FAILED


def test_what_ended_while_redis_was_away_makes_room_too(acme: ThirdParty) -> None:
    limit(acme, max_unfinished=2)
    for _ in range(2):
        assert acme.post(body=ONE).status_code == 202
    now = timezone.now()
    PushRequest.objects.update(status=Status.SUCCEEDED, finished_at=now)  # and nobody was told
    assert acme.post("batch", {"items": [ONE, ONE]}).status_code == 202
    exceeded(acme.post(body=ONE), "unfinished")


def test_one_that_is_due_later_is_unfinished_until_then(acme: ThirdParty, redis: Redis) -> None:
    limit(acme, max_unfinished=2)
    assert acme.post(body=ONE | {"send_at": "2100-01-01T00:00:00Z"}).status_code == 202
    [key] = redis.keys("{tests}:slots:*")
    assert redis.pttl(key) > 365 * 86_400_000


def test_what_could_not_be_stored_does_not_count(
    acme: ThirdParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(acme, daily_quota=1, max_unfinished=1)

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(PushRequest, "save", fail)
        assert acme.post(body=ONE).status_code == 500
    assert acme.post(body=ONE).status_code == 202


def test_our_own_code_has_no_limits(acme: ThirdParty) -> None:
    limit(acme, daily_quota=1, max_unfinished=1)
    for _ in range(2):
        services.submit(client=acme.client, recipients=["token"])
    assert acme.post(body=ONE).status_code == 202


def test_changes_of_many_clients_make_room_at_once(acme: ThirdParty) -> None:
    other = ThirdParty("other")
    for party in (acme, other):
        limit(party, max_unfinished=1)
        assert party.post(body=ONE).status_code == 202
    PushRequest.objects.update(status=Status.FAILED, finished_at=timezone.now())
    publish([Change.of(row) for row in PushRequest.objects.all()])
    assert publisher().flush(10)
    for party in (acme, other):
        assert party.post(body=ONE).status_code == 202


@pytest.mark.usefixtures("no_redis")
def test_without_redis_everybody_is_admitted(
    acme: ThirdParty, caplog: pytest.LogCaptureFixture
) -> None:
    limit(acme, rate_limit=1, daily_quota=1, max_unfinished=1)
    for _ in range(2):
        response = acme.post(body=ONE)
        assert response.status_code == 202
        assert "RateLimit-Policy" in response.headers
        assert told(response) == {}
    assert "are not enforced, Redis is down" in caplog.text
    admission.release_final([Change.of(PushRequest.objects.filter(status="pending")[0])])
