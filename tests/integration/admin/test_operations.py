"""Retry and cancel in the admin: as actions of the list and as buttons of a page."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client

from django_pushjobs.admin import push_requests, request_operations
from django_pushjobs.broker.queues import depth, queue
from django_pushjobs.states import Status
from tests.support.samples import a_push_request

pytestmark = pytest.mark.django_db

LIST = "/admin/django_pushjobs/pushrequest/"


@pytest.fixture(autouse=True)
def _empty_queue():
    queue("normal").empty()
    yield
    queue("normal").empty()


def press(client, button, request):
    return client.post(f"{LIST}{request.pk}/{button}/")


def act(client, action, *requests, **fields):
    keys = [str(request.pk) for request in requests]
    data = {"action": action, "_selected_action": keys, "index": "0"}
    return client.post(LIST, data | fields)


def told(response):
    return [(message.level_tag, message.message) for message in get_messages(response.wsgi_request)]


def test_the_button_retries_and_enqueues(admin_client, django_capture_on_commit_callbacks):
    request = a_push_request(Status.FAILED, error_code="broken")
    with django_capture_on_commit_callbacks(execute=True):
        response = press(admin_client, "retry", request)
    request.refresh_from_db()
    assert response["Location"] == f"{LIST}{request.pk}/change/"
    assert request.status == Status.QUEUED
    assert depth()["pushjobs"] == 1
    assert told(response) == [("success", "1 push request will be pushed again.")]
    assert LogEntry.objects.get().object_id == str(request.pk)


def test_the_button_cancels(admin_client):
    request = a_push_request(Status.PENDING)
    response = press(admin_client, "cancel", request)
    request.refresh_from_db()
    assert request.status == Status.CANCELED
    assert told(response) == [("success", "1 push request was canceled.")]


def test_canceling_what_runs_says_what_that_means(admin_client):
    request = a_push_request(Status.RUNNING)
    [(level, sentence)] = told(press(admin_client, "cancel", request))
    request.refresh_from_db()
    assert (request.status, level) == (Status.RUNNING, "success")
    assert request.cancel_requested_at
    assert "no further attempt" in sentence


@pytest.mark.parametrize(
    ("button", "status"), [("retry", Status.SUCCEEDED), ("cancel", Status.SUCCEEDED)]
)
def test_what_the_state_does_not_allow_is_said(admin_client, button, status):
    request = a_push_request(status)
    [(level, sentence)] = told(press(admin_client, button, request))
    assert level == "warning"
    assert f"{request.pk} is succeeded" in sentence
    assert not LogEntry.objects.exists()


def test_a_request_that_is_gone_is_said(admin_client):
    response = admin_client.post(f"{LIST}{uuid4()}/retry/")
    assert [level for level, _sentence in told(response)] == ["warning"]
    assert admin_client.post(f"{LIST}nonsense/retry/").status_code == 404


def test_buttons_show_where_they_make_sense(admin_client):
    expected = {
        Status.PENDING: ["cancel"],
        Status.QUEUED: ["cancel"],
        Status.RUNNING: ["cancel"],
        Status.PARTIAL: ["retry"],
        Status.FAILED: ["retry"],
    }
    for status in Status:
        response = admin_client.get(f"{LIST}{a_push_request(status).pk}/change/")
        buttons = [button.name for button in response.context["buttons"]]
        assert buttons == expected.get(status, []), status


def test_an_action_does_what_it_can_and_names_the_rest(admin_client):
    failed, partial = a_push_request(Status.FAILED), a_push_request(Status.PARTIAL)
    done = a_push_request(Status.SUCCEEDED)
    response = act(admin_client, "retry_selected", failed, partial, done)
    assert told(response) == [
        ("success", "2 push requests will be pushed again."),
        (
            "warning",
            f"{done.pk} is succeeded: only failed or partial requests can be retried.",
        ),
    ]
    failed.refresh_from_db()
    assert failed.status == Status.QUEUED


def test_an_action_on_many_tells_only_some_refusals(admin_client):
    rows = [a_push_request(Status.SUCCEEDED) for _ in range(request_operations.TOLD + 3)]
    sentences = [sentence for _level, sentence in told(act(admin_client, "cancel_selected", *rows))]
    assert len(sentences) == request_operations.TOLD + 1
    assert sentences[-1] == "3 more requests were refused."


def test_an_action_on_everything_ends_at_its_limit_and_says_so(admin_client, monkeypatch):
    for module in (request_operations, push_requests):
        monkeypatch.setattr(module, "LIMIT", 2)
    rows = [a_push_request(Status.FAILED) for _ in range(3)]
    response = act(admin_client, "retry_selected", rows[0], select_across="1")
    assert [level for level, _sentence in told(response)] == ["success", "warning"]
    statuses = sorted(type(row).objects.get(pk=row.pk).status for row in rows)
    assert statuses == ["failed", "queued", "queued"]


def test_buttons_and_actions_need_the_permission_to_change(client):
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_pushrequest"))
    client.force_login(user)
    request = a_push_request(Status.FAILED)
    assert press(client, "retry", request).status_code == 403
    act(client, "retry_selected", request)
    request.refresh_from_db()
    assert request.status == Status.FAILED
    user.user_permissions.set(Permission.objects.filter(codename="change_pushrequest"))
    assert press(client, "retry", request).status_code == 302
    request.refresh_from_db()
    assert request.status == Status.QUEUED


def test_buttons_want_a_post_a_login_and_a_token(admin_client, admin_user):
    request = a_push_request(Status.FAILED)
    assert admin_client.get(f"{LIST}{request.pk}/retry/").status_code == 405
    assert "/login/" in press(Client(), "retry", request)["Location"]
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(admin_user)
    assert press(careful, "retry", request).status_code == 403
    request.refresh_from_db()
    assert request.status == Status.FAILED
