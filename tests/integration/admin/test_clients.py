"""Clients and their keys in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pushjobs.models import ApiClient, ApiKey
from tests.support.samples import a_push_request

pytestmark = pytest.mark.django_db

LIST = "/admin/django_pushjobs/apiclient/"


@pytest.fixture
def friend():
    return ApiClient.objects.create(name="friend")


def issue(client, friend, **data):
    return client.post(
        f"{LIST}{friend.pk}/keys/add/", {"name": "production", "scopes": ["read", "submit"]} | data
    )


def test_a_key_is_shown_once_and_works(admin_client, friend):
    response = issue(admin_client, friend)
    secret = response.context["secret"]
    assert secret in response.rendered_content
    assert "no-store" in response["Cache-Control"]
    key = ApiKey.objects.authenticate(secret)
    assert key is not None
    assert (key.client, key.name) == (friend, "production")
    page = admin_client.get(f"{LIST}{friend.pk}/change/").rendered_content
    assert key.prefix in page
    assert secret not in page
    assert key.hashed_key not in page


def test_the_secret_is_kept_nowhere(admin_client, friend):
    response = issue(admin_client, friend)
    secret = response.context["secret"]
    assert not list(get_messages(response.wsgi_request))
    assert not any(secret in cookie.value for cookie in admin_client.cookies.values())
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())
    history = admin_client.get(f"{LIST}{friend.pk}/history/").content.decode()
    assert "Issued the key production" in history
    assert secret not in history


@pytest.mark.parametrize(
    "data",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"allowed_networks": "192.0.2.1/24"},
        {"allowed_networks": "192.0.2.0/24 example.com"},
        {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"},
        {"expires_at_0": "soon", "expires_at_1": "00:00"},
    ],
)
def test_a_wrong_form_issues_nothing(admin_client, friend, data):
    response = issue(admin_client, friend, **data)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert not ApiKey.objects.exists()


def test_looking_at_the_form_issues_nothing(admin_client, friend):
    assert admin_client.get(f"{LIST}{friend.pk}/keys/add/").status_code == 200
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_after_a_question(admin_client, friend):
    key, secret = ApiKey.objects.issue(friend, "old")
    url = f"{LIST}{friend.pk}/keys/{key.pk}/revoke/"
    assert "cannot be undone" in admin_client.get(url).rendered_content
    assert ApiKey.objects.authenticate(secret)
    assert admin_client.post(url)["Location"] == f"{LIST}{friend.pk}/change/"
    assert ApiKey.objects.authenticate(secret) is None
    revoked_at = ApiKey.objects.get().revoked_at
    admin_client.post(url)
    assert ApiKey.objects.get().revoked_at == revoked_at
    assert "revoked" in admin_client.get(f"{LIST}{friend.pk}/change/").rendered_content


def test_a_key_belongs_to_its_client(admin_client, friend):
    other = ApiClient.objects.create(name="other")
    key, _secret = ApiKey.objects.issue(friend, "theirs")
    assert admin_client.post(f"{LIST}{other.pk}/keys/{key.pk}/revoke/").status_code == 404
    assert admin_client.get(f"{LIST}999/keys/add/").status_code == 404


def test_the_list_counts_valid_keys_in_one_query(admin_client, friend):
    ApiKey.objects.issue(friend, "valid")
    ApiKey.objects.issue(friend, "expired", expires_at=timezone.now() - timedelta(days=1))
    ApiKey.objects.issue(friend, "revoked", revoked_at=timezone.now())
    ApiClient.objects.create(name="none")
    off = ApiClient.objects.create(name="off", is_active=False)
    ApiKey.objects.issue(off, "useless")

    def look():
        with CaptureQueriesContext(connection) as captured:
            rows = admin_client.get(LIST).context["cl"].result_list
        model_admin = admin_client.get(LIST).context["cl"].model_admin
        return {row.name: model_admin.valid_keys(row) for row in rows}, len(captured)

    counts, few = look()
    assert counts == {"friend": 1, "none": 0, "off": 0}
    for number in range(20):
        ApiClient.objects.create(name=f"client {number}")
    assert look()[1] == few


def test_clients_are_added_and_switched_off_but_never_deleted(admin_client):
    admin_client.post(LIST + "add/", {"name": "new", "is_active": "on"})
    client = ApiClient.objects.get(name="new")
    a_push_request(client=client)
    admin_client.post(f"{LIST}{client.pk}/change/", {"name": "new"})
    client.refresh_from_db()
    assert not client.is_active
    page = admin_client.get(f"{LIST}{client.pk}/change/").rendered_content
    assert "not active" in page
    assert f"pushrequest/?client={client.pk}" in page
    assert admin_client.post(f"{LIST}{client.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("codenames", "sees", "issues", "revokes"),
    [
        (["view_apiclient"], False, False, False),
        (["view_apiclient", "view_apikey"], True, False, False),
        (["view_apiclient", "add_apikey"], False, True, False),
        (["view_apiclient", "change_apikey"], True, False, True),
        (["add_apikey", "change_apikey"], None, False, False),
    ],
)
def test_keys_have_permissions_of_their_own(client, friend, codenames, sees, issues, revokes):
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    key, secret = ApiKey.objects.issue(friend, "production")
    response = client.get(f"{LIST}{friend.pk}/change/")
    assert response.status_code == (403 if sees is None else 200)
    assert (key.prefix in response.content.decode()) is bool(sees)
    assert issue(client, friend).status_code == (200 if issues else 403)
    client.post(f"{LIST}{friend.pk}/keys/{key.pk}/revoke/")
    assert (ApiKey.objects.authenticate(secret) is None) is revokes


def test_a_key_has_scopes_and_networks(admin_client, friend):
    issue(admin_client, friend, allowed_networks="192.0.2.0/24\r\n2001:db8::/32\r\n")
    key = ApiKey.objects.get()
    assert key.scopes == ["read", "submit"]
    assert key.allowed_networks == ["192.0.2.0/24", "2001:db8::/32"]
    page = admin_client.get(f"{LIST}{friend.pk}/change/").rendered_content
    assert "2001:db8::/32" in page
    assert "read, submit" in page


def test_a_key_gets_a_successor(admin_client, friend):
    key, secret = ApiKey.objects.issue(friend, "old", scopes=["read"])
    url = f"{LIST}{friend.pk}/keys/{key.pk}/rotate/"
    assert key.prefix in admin_client.get(url).rendered_content
    assert ApiKey.objects.count() == 1
    response = admin_client.post(url, {"hours": "2"})
    new = ApiKey.objects.authenticate(response.context["secret"])
    assert response.context["secret"] in response.rendered_content
    assert (new.name, new.scopes) == ("old", ["read"])
    key.refresh_from_db()
    assert timedelta(hours=1) < key.expires_at - timezone.now() <= timedelta(hours=2)
    assert ApiKey.objects.authenticate(secret)
    history = admin_client.get(f"{LIST}{friend.pk}/history/").content.decode()
    assert "in place of old" in history
    key.revoke()
    assert admin_client.get(url).status_code == 404


def test_limits_are_set_on_the_page_of_the_client(admin_client, friend):
    data = {"name": "friend", "is_active": "on", "rate_limit": "100", "daily_quota": "0"}
    assert admin_client.post(f"{LIST}{friend.pk}/change/", data).status_code == 302
    friend.refresh_from_db()
    assert (friend.rate_limit, friend.daily_quota, friend.max_unfinished) == (100, 0, None)
