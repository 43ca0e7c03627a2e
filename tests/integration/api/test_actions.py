"""Cancel and retry over HTTP."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.utils import timezone

from django_pushjobs import services
from django_pushjobs.models import PushRequest
from django_pushjobs.states import Status
from tests.support.third_party import ThirdParty, problem

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def submit(owner: ThirdParty) -> PushRequest:
    return services.submit(client=owner.client, recipients=["token"])


def fail(row: PushRequest) -> None:
    rows = PushRequest.objects.filter(pk=row.pk)
    rows.transition(Status.RUNNING, owner="worker", lease_expires_at=timezone.now())
    rows.transition(Status.FAILED, error_code="http_500")


def test_cancel_ends_one_that_waits_and_may_be_repeated(acme: ThirdParty) -> None:
    row = submit(acme)
    for _ in range(2):
        response = acme.post(f"{row.pk}/cancel")
        assert response.status_code == 200
        assert "Retry-After" not in response.headers
        assert response.json()["status"] == "canceled"
        assert response.json()["error"]["code"] == "canceled"


def test_cancel_of_one_that_runs_is_a_wish(acme: ThirdParty) -> None:
    row = submit(acme)
    PushRequest.objects.filter(pk=row.pk).transition(
        Status.RUNNING, owner="worker", lease_expires_at=timezone.now()
    )
    response = acme.post(f"{row.pk}/cancel")
    assert (response.status_code, response.headers["Retry-After"]) == (200, "1")
    assert response.json()["status"] == "running"
    assert response.json()["cancel_requested_at"]


def test_retry_queues_one_that_failed(acme: ThirdParty) -> None:
    row = submit(acme)
    fail(row)
    response = acme.post(f"{row.pk}/retry")
    assert (response.status_code, response.headers["Retry-After"]) == (202, "1")
    assert response.headers["Location"].endswith(f"/push-requests/{row.pk}")
    assert (response.json()["status"], response.json()["error"]) == ("queued", None)


def test_what_its_state_does_not_allow_is_a_conflict(acme: ThirdParty) -> None:
    row = submit(acme)
    response = acme.post(f"{row.pk}/retry")
    assert response.status_code == 409
    assert problem(response)["detail"] == "Cannot retry a push request that is queued."
    fail(row)
    response = acme.post(f"{row.pk}/cancel")
    assert response.status_code == 409
    assert problem(response)["type"] == "urn:problem-type:pushjobs:invalid-state"


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_those_of_others_do_not_exist(acme: ThirdParty, action: str) -> None:
    theirs = submit(ThirdParty("rival"))
    for pk in (theirs.pk, uuid4()):
        assert problem(acme.post(f"{pk}/{action}"))["status"] == 404
    theirs.refresh_from_db()
    assert theirs.status == Status.QUEUED


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_only_by_post(acme: ThirdParty, action: str) -> None:
    response = acme.get(f"{submit(acme).pk}/{action}")
    assert response.headers["Allow"] == "POST"
    assert problem(response)["status"] == 405
