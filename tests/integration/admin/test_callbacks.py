"""Callback endpoints and callbacks in the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session

from django_pushjobs.callbacks import endpoints, sender
from django_pushjobs.models import (
    ApiClient,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    EndpointState,
)
from tests.support.callbacks import INSECURE
from tests.support.provider import http, provider

pytestmark = pytest.mark.django_db(transaction=True)

ENDPOINTS = "/admin/django_pushjobs/callbackendpoint/"
CALLBACKS = "/admin/django_pushjobs/callbackevent/"


@pytest.fixture(autouse=True)
def _insecure(settings):
    settings.PUSHJOBS = INSECURE


@pytest.fixture
def receiver():
    with provider() as running:
        yield running


@pytest.fixture
def friend():
    return ApiClient.objects.create(name="friend")


@pytest.fixture
def endpoint(friend, receiver):
    return endpoints.register(friend, receiver.url)[0]


def messages(response):
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_a_new_endpoint_shows_its_secret_once(admin_client, friend, receiver):
    assert admin_client.get(f"{ENDPOINTS}add/").status_code == 200
    data = {"client": friend.pk, "url": receiver.url, "event_types": ["push.request.expired"]}
    response = admin_client.post(f"{ENDPOINTS}add/", data)
    secret = response.context["secret"]
    assert secret in response.rendered_content
    assert "no-store" in response["Cache-Control"]
    endpoint = CallbackEndpoint.objects.get()
    assert (endpoint.client, endpoint.event_types) == (friend, ["push.request.expired"])
    page = admin_client.get(f"{ENDPOINTS}{endpoint.pk}/change/").rendered_content
    assert receiver.url in page
    assert ">None<" not in page
    assert secret not in page
    assert endpoint.encrypted_secret not in page
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())


@pytest.mark.parametrize("url", ["", "https://10.0.0.1/", "https://127.1/", "ftp://x/"])
def test_what_cannot_be_registered(admin_client, friend, url):
    response = admin_client.post(f"{ENDPOINTS}add/", {"client": friend.pk, "url": url})
    assert response.context["form"].errors["url"]
    assert not CallbackEndpoint.objects.exists()


def test_the_buttons_of_an_endpoint(admin_client, endpoint):
    page = f"{ENDPOINTS}{endpoint.pk}/"
    for operation, state in (("pause", "paused"), ("resume", "active")):
        assert admin_client.get(f"{page}{operation}/").status_code == 405
        response = admin_client.post(f"{page}{operation}/", follow=True)
        endpoint.refresh_from_db()
        assert endpoint.state == state
        assert f"{operation}d." in messages(response)[0].lower()
    admin_client.post(f"{page}test/")
    assert CallbackEvent.objects.get().type == "push.endpoint.test"
    rotated = admin_client.post(f"{page}rotate/")
    assert rotated.context["secret"].startswith("whsec_")
    endpoint.refresh_from_db()
    assert endpoint.previous_secret_expires_at is not None
    history = admin_client.get(f"{page}history/").content.decode()
    assert "Issued a new secret." in history
    assert rotated.context["secret"] not in history


def test_a_disabled_endpoint_is_seen_resumed_and_replayed(admin_client, endpoint, receiver):
    receiver.script(http(410))
    event = endpoints.send_test(endpoint)
    sender.send(endpoint.pk)
    listed = admin_client.get(ENDPOINTS).rendered_content
    assert "disabled" in listed
    assert "410 Gone" in listed
    selected = {"_selected_action": [endpoint.pk]}
    admin_client.post(ENDPOINTS, selected | {"action": "resume_selected"})
    endpoint.refresh_from_db()
    assert endpoint.state == EndpointState.ACTIVE
    response = admin_client.post(ENDPOINTS, selected | {"action": "replay_selected"}, follow=True)
    assert messages(response)[-1] == "1 callback will be sent again."
    event.refresh_from_db()
    assert event.status == CallbackStatus.PENDING
    for action, sentence in (
        ("test_selected", "A test is on its way to 1 endpoint."),
        ("pause_selected", "1 endpoint has been paused."),
    ):
        response = admin_client.post(ENDPOINTS, selected | {"action": action}, follow=True)
        assert messages(response)[-1] == sentence


def test_a_callback_shows_its_attempts_and_is_replayed(admin_client, endpoint, receiver):
    receiver.script(http(500, b"<b>out of order</b>"))
    event = endpoints.send_test(endpoint)
    sender.send(endpoint.pk)
    assert "pending" in admin_client.get(CALLBACKS).rendered_content
    page = admin_client.get(f"{CALLBACKS}{event.pk}/change/").rendered_content
    assert "500" in page
    assert "&lt;b&gt;out of order" in page
    assert "/replay/" not in page  # it is tried again anyway
    assert ">None<" not in page
    CallbackEvent.objects.update(next_attempt_at=event.created_at)
    sender.send(endpoint.pk)
    assert "/replay/" in admin_client.get(f"{CALLBACKS}{event.pk}/change/").rendered_content
    response = admin_client.post(f"{CALLBACKS}{event.pk}/replay/", follow=True)
    assert messages(response) == ["1 callback will be sent again."]
    selected = {"_selected_action": [event.pk], "action": "replay_selected"}
    response = admin_client.post(CALLBACKS, selected, follow=True)
    assert messages(response) == ["0 callbacks will be sent again."]


def test_callbacks_are_found_by_whole_ids(admin_client, endpoint):
    event = endpoints.send_test(endpoint)
    for term, count in ((event.pk, 1), (endpoint.pk, 1), (str(event.pk)[:8], 0), ("x", 0)):
        found = admin_client.get(CALLBACKS, {"q": term}).context["cl"].result_count
        assert found == count, term


def test_who_may_only_look_can_do_nothing(client, endpoint):
    event = endpoints.send_test(endpoint)
    viewer = User.objects.create_user("viewer", is_staff=True)
    names = ["view_callbackendpoint", "view_callbackevent"]
    viewer.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(viewer)
    for page in (f"{ENDPOINTS}{endpoint.pk}/", f"{CALLBACKS}{event.pk}/"):
        assert "pushjobs-tool" not in client.get(f"{page}change/").rendered_content
    for operation in ("pause", "resume", "test", "rotate"):
        assert client.post(f"{ENDPOINTS}{endpoint.pk}/{operation}/").status_code == 403
    assert client.post(f"{CALLBACKS}{event.pk}/replay/").status_code == 403
    assert client.get(f"{ENDPOINTS}add/").status_code == 403
