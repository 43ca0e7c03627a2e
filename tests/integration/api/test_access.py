"""Who may call, and what a call gets when the house is on fire or set up otherwise."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from django_pushjobs.models import ApiKey
from tests.support.third_party import PUSH_REQUESTS, ThirdParty, problem

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def status_with(**headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = Client().get(PUSH_REQUESTS, headers=named)
    if response.status_code != 200:
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="push requests"')
        problem(response)
    return int(response.status_code)


def test_a_key_comes_in_either_header(acme: ThirdParty) -> None:
    assert status_with(Authorization=f"Bearer {acme.secret}") == 200
    assert status_with(Authorization=f"bearer  {acme.secret}") == 200
    assert status_with(X_API_Key=acme.secret) == 200
    assert status_with(Authorization="Basic cHJveHk6eA==", X_API_Key=acme.secret) == 200


@pytest.mark.parametrize(
    "credentials", ["", "Bearer", "Bearer ", "Bearer x", "Bearer a.b", "Basic x", "Bearer \xff.x"]
)
def test_no_key_or_a_wrong_one(acme: ThirdParty, credentials: str) -> None:
    assert status_with(Authorization=credentials) == 401


def test_a_wrong_secret_behind_a_right_prefix(acme: ThirdParty) -> None:
    assert status_with(X_API_Key=f"{acme.key.prefix}.{'x' * 32}") == 401


def test_the_challenge_tells_no_key_from_a_wrong_one(acme: ThirdParty) -> None:
    nothing = Client().get(PUSH_REQUESTS)
    wrong = acme.get(Authorization="Bearer wrong.key")
    assert "invalid_token" not in nothing.headers["WWW-Authenticate"]
    assert 'error="invalid_token"' in wrong.headers["WWW-Authenticate"]
    assert problem(nothing)["detail"] != problem(wrong)["detail"]


@pytest.mark.parametrize("fields", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now()}])
def test_a_key_that_holds_no_more(acme: ThirdParty, fields: dict[str, Any]) -> None:
    ApiKey.objects.update(**fields)
    assert status_with(X_API_Key=acme.secret) == 401


def test_a_key_that_expires_later(acme: ThirdParty) -> None:
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert status_with(X_API_Key=acme.secret) == 200


def test_a_client_that_is_not_active(acme: ThirdParty) -> None:
    acme.client.is_active = False
    acme.client.save()
    assert status_with(X_API_Key=acme.secret) == 401


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_other_methods(acme: ThirdParty, method: str) -> None:
    response = getattr(acme.http, method)(
        PUSH_REQUESTS, headers={"Authorization": f"Bearer {acme.secret}"}
    )
    assert problem(response)["status"] == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize(
    "path", ["/api/v1/", "/api/v1/none", "/api/v1/push-request/x", "/api/v1//"]
)
def test_below_its_address_everything_else_is_a_problem(path: str) -> None:
    for response in (Client().get(path), Client().post(path)):
        assert problem(response)["status"] == 404


@pytest.mark.parametrize("path", ["/api/v1/openapi.json", "/api/v1/docs"])
def test_what_needs_no_key_has_problems_too(path: str) -> None:
    assert Client().get(path).status_code == 200
    assert problem(Client().post(path))["status"] == 405


def test_a_host_that_is_not_ours(acme: ThirdParty, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["push.example.com"]
    assert acme.post(body={"recipients": ["token"]}).status_code == 400


def test_there_is_one_representation(acme: ThirdParty) -> None:
    for accept in ("text/html", "application/xml", "application/problem+json"):
        response = acme.get(Accept=accept)
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")


def test_a_request_id_is_made_where_none_that_is_usable_came(acme: ThirdParty) -> None:
    for sent in ("", "x" * 129, "with space", "ü"):
        assert len(acme.get(X_Request_ID=sent).headers["X-Request-ID"]) == 32


@pytest.fixture
def no_database(acme: ThirdParty) -> Iterator[ThirdParty]:
    """The database of the settings is one that nobody can connect to."""
    given = dict(connection.settings_dict)
    connection.close()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        wrong = {"HOST": "127.0.0.1", "PORT": unused.getsockname()[1]}
        if connection.vendor == "sqlite":
            wrong = {"NAME": "/nowhere/db.sqlite3"}
        connection.settings_dict.update(wrong)
        yield acme
    connection.close()
    connection.settings_dict.update(given)


def test_without_a_database_it_says_come_back(no_database: ThirdParty) -> None:
    for response in (no_database.post(body={"recipients": ["token"]}), no_database.get()):
        assert response.status_code == 503
        assert problem(response)["title"] == "Service Unavailable"
        assert response.headers["Retry-After"] == "5"


def test_atomic_requests_change_nothing(no_database: ThirdParty, settings: Settings) -> None:
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    assert no_database.get().status_code == 503


FOREIGN_PROJECT = """
import json, django
django.setup()
from django.core.management import call_command
from drf_spectacular.drainage import GENERATOR_STATS
from tests.support.third_party import ThirdParty, problem

call_command("migrate", verbosity=0)
acme = ThirdParty()
for n in range(3):
    response = acme.post(body={"recipients": ["token"], "reference": f"ü{n}"})
    assert response.status_code == 202, response.content
assert response.json()["created_at"].endswith("Z")
assert "ü2" in response.content.decode()
assert len(acme.get().json()["results"]) == 3
assert problem(acme.get("none"))["status"] == 404
document = acme.get("/api/v1/openapi.json").json()
assert document["paths"]["/push-requests"]["post"]["operationId"] == "submitPushRequest"
assert not GENERATOR_STATS
"""


def test_the_projects_rest_framework_settings_do_not_reach_us(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", FOREIGN_PROJECT],
        check=True,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tests.support.foreign_settings",
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        },
    )
