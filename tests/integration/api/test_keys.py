"""What a key is good for: its scopes, its networks, its time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from django_pushjobs.models import ApiKey, Scope
from tests.support.third_party import PUSH_REQUESTS, ThirdParty, problem

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def lacks(response: Any, scope: str) -> None:
    """Make sure that ``response`` is a 403 that names ``scope``."""
    assert response.status_code == 403
    members = problem(response)
    assert members["type"] == "urn:problem-type:pushjobs:insufficient-scope"
    assert members["scope"] == scope
    assert scope in members["detail"]
    challenge = f'error="insufficient_scope", scope="{scope}"'
    assert challenge in response.headers["WWW-Authenticate"]


def test_a_new_key_is_good_for_everything(acme: ThirdParty) -> None:
    assert acme.key.scopes == ["submit", "read", "callbacks"]


def test_a_key_to_read(acme: ThirdParty) -> None:
    one = acme.post(body={"recipients": ["token"]}).json()
    ApiKey.objects.update(scopes=[Scope.READ])
    for path in ("", one["id"], f"{one['id']}/deliveries"):
        assert acme.get(path).status_code == 200
    lacks(acme.post(body={"recipients": ["token"]}), "submit")
    for path in ("batch", f"{one['id']}/cancel", f"{one['id']}/retry"):
        lacks(acme.post(path), "submit")


def test_a_key_to_submit(acme: ThirdParty) -> None:
    ApiKey.objects.update(scopes=[Scope.SUBMIT])
    one = acme.post(body={"recipients": ["token"]})
    assert one.status_code == 202
    lacks(acme.get(one.json()["id"]), "read")
    lacks(acme.get(), "read")


def call(acme: ThirdParty, **meta: str) -> int:
    response = Client().get(PUSH_REQUESTS, headers={"X-API-Key": acme.secret}, **meta)  # type: ignore[arg-type]
    if response.status_code != 200:
        assert "network" in problem(response)["detail"]
    return int(response.status_code)


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        ([], "203.0.113.7", 200),
        (["192.0.2.0/24"], "192.0.2.200", 200),
        (["192.0.2.0/24"], "192.0.3.1", 401),
        (["192.0.2.0/24", "198.51.100.7"], "198.51.100.7", 200),
        (["192.0.2.0/24"], "::ffff:192.0.2.1", 200),
        (["2001:db8::/32"], "2001:db8:1::1", 200),
        (["2001:db8::/32"], "2001:db9::1", 401),
        (["2001:db8::/32"], "192.0.2.1", 401),
        (["0.0.0.0/0"], "", 401),
        (["0.0.0.0/0"], "unix:", 401),
    ],
)
def test_networks(acme: ThirdParty, networks: list[str], address: str, status: int) -> None:
    ApiKey.objects.update(allowed_networks=networks)
    assert call(acme, REMOTE_ADDR=address) == status


@pytest.mark.parametrize(
    ("proxies", "forwarded", "status"),
    [
        (0, "192.0.2.1", 401),
        (1, "192.0.2.1", 200),
        (1, "198.51.100.1, 192.0.2.1", 200),
        (1, "192.0.2.1, 198.51.100.1", 401),
        (2, "192.0.2.1, 198.51.100.1", 200),
        (2, "192.0.2.1", 401),
        (1, "", 401),
        (1, "nonsense", 401),
    ],
)
def test_proxies(
    acme: ThirdParty, settings: Settings, proxies: int, forwarded: str, status: int
) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"TRUSTED_PROXIES": proxies}
    ApiKey.objects.update(allowed_networks=["192.0.2.0/24"])
    assert call(acme, REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=forwarded) == status


def test_the_last_use_is_written_once_in_a_minute(acme: ThirdParty) -> None:
    ApiKey.objects.update(last_used_at=None)
    before = timezone.now()
    assert acme.get().status_code == 200
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    assert first >= before
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert acme.get().status_code == 200
    assert not [q for q in queries if q["sql"].startswith("UPDATE")]
    earlier = first - timedelta(seconds=61)
    ApiKey.objects.update(last_used_at=earlier)
    acme.get()
    assert ApiKey.objects.get().last_used_at > earlier


def test_a_refused_call_is_no_use(acme: ThirdParty) -> None:
    ApiKey.objects.update(last_used_at=None, allowed_networks=["192.0.2.0/24"])
    assert acme.get().status_code == 401
    assert ApiKey.objects.get().last_used_at is None


def test_a_rotated_key_and_its_successor_are_good_for_a_while(acme: ThirdParty) -> None:
    acme.key.scopes, acme.key.allowed_networks = ["read"], ["127.0.0.0/8"]
    acme.key.save()
    successor, secret = ApiKey.objects.rotate(acme.key, timedelta(hours=1))
    assert (successor.scopes, successor.allowed_networks) == (["read"], ["127.0.0.0/8"])
    assert (successor.name, successor.expires_at) == ("tests", None)
    assert acme.get().status_code == acme.get(Authorization=f"Bearer {secret}").status_code == 200
    end = ApiKey.objects.get(pk=acme.key.pk).expires_at
    assert end is not None
    assert abs(end - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)


def test_to_rotate_makes_no_key_live_longer(acme: ThirdParty) -> None:
    acme.key.expires_at = end = timezone.now() + timedelta(minutes=1)
    acme.key.save()
    successor, _ = ApiKey.objects.rotate(acme.key, timedelta(hours=1))
    assert (acme.key.expires_at, successor.expires_at) == (end, end)


def test_to_rotate_at_once(acme: ThirdParty) -> None:
    ApiKey.objects.rotate(acme.key, timedelta())
    assert acme.get().status_code == 401
