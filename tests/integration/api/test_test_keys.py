"""A key that is bound to the sandbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import Settings

from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.models import ApiClient, ApiKey, PushRequest
from django_pushjobs.states import Status
from tests.support.samples import a_push_request
from tests.support.third_party import ThirdParty, faults

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tester() -> ThirdParty:
    return ThirdParty(live=ApiClient.objects.create(name="acme"))


def ask(party: ThirdParty, *recipients: str) -> PushRequest:
    response = party.post(body={"recipients": recipients, "backend": "dummy"})
    assert response.status_code == 202, response.content
    return PushRequest.objects.get(pk=response.json()["id"])


def test_whatever_it_names_goes_to_the_sandbox(tester: ThirdParty) -> None:
    row = ask(tester, "sandbox:gone", "a-token")
    assert row.backend == "sandbox"
    assert deliver(row.pk) is Status.PARTIAL
    batch = {"items": [{"recipients": ["a"]}, {"recipients": ["a"], "backend": "dummy"}]}
    answers = tester.post("batch", body=batch).json()["items"]
    assert {item["push_request"]["backend"] for item in answers} == {"sandbox"}


def test_a_typo_is_a_field_error(tester: ThirdParty) -> None:
    body = {"recipients": ["sandbox:ok", "sandbox:okay"]}
    assert faults(tester.post(body=body)) == {("/recipients/1", "invalid_address")}


def test_it_neither_sees_nor_repeats_live_requests(tester: ThirdParty) -> None:
    live = a_push_request(Status.FAILED, client=tester.client.live)
    assert tester.get(str(live.pk)).status_code == 404
    assert tester.post(f"{live.pk}/retry").status_code == 404
    assert tester.get().json()["results"] == []


def test_without_a_sandbox_it_is_refused(tester: ThirdParty, settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"TEST_BACKEND": ""}
    assert tester.post(body={"recipients": ["a"]}).status_code == 401


def test_a_refusal_of_credentials_does_not_stop_the_tests_of_others(tester: ThirdParty) -> None:
    refused, other = ask(tester, "sandbox:config;times=1"), ask(tester, "sandbox:ok")
    assert deliver(refused.pk) is Status.PENDING
    refused.refresh_from_db()
    assert refused.error_code == "sandbox_config"
    assert deliver(other.pk) is Status.SUCCEEDED


def test_the_same_idempotency_key_is_another_one_for_a_live_key(tester: ThirdParty) -> None:
    _, tester.secret = ApiKey.objects.issue(tester.client, "test")
    live = ThirdParty("other")
    live.client = tester.client.live
    _, live.secret = ApiKey.objects.issue(live.client, "live")
    body = {"recipients": ["a-token"], "backend": "dummy"}
    first, second = (
        party.post(body=body, Idempotency_Key='"order-1"').json() for party in (tester, live)
    )
    assert first["id"] != second["id"]
    assert (first["backend"], second["backend"]) == ("sandbox", "dummy")


def test_a_client_that_is_deactivated_has_no_test_keys(tester: ThirdParty) -> None:
    assert tester.get().status_code == 200
    ApiClient.objects.filter(pk=tester.client.live.pk).update(is_active=False)
    assert tester.get().status_code == 401


def test_doubles_have_names_of_their_own() -> None:
    ApiClient.objects.create(name="acme (test)")
    acme = ApiClient.objects.create(name="acme")
    double = acme.for_tests()
    assert str(double) == "acme (test 2)"
    assert acme.for_tests() == double == double.for_tests()


def test_its_successor_is_a_test_key_too(tester: ThirdParty) -> None:
    key = ApiKey.objects.get(pk=tester.key.pk)
    successor, _ = ApiKey.objects.rotate(key, timedelta(hours=1))
    assert successor.is_test


def test_an_operator_issues_one(admin_client, tester: ThirdParty, settings: Settings) -> None:  # type: ignore[no-untyped-def]
    url = f"/admin/django_pushjobs/apiclient/{tester.client.pk}/keys/add/"
    form = {"name": "try", "scopes": ["read", "submit"], "is_test": "on"}
    secret = admin_client.post(url, form).context["secret"]
    key = ApiKey.objects.authenticate(secret)
    assert key is not None
    assert key.is_test
    settings.PUSHJOBS = settings.PUSHJOBS | {"TEST_BACKEND": ""}
    assert admin_client.post(url, form).context["form"].errors.keys() == {"is_test"}
