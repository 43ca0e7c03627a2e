"""Nobody gets the messages of others by what they register, nor reaches everybody by what they ask.

An address of FCM may be a topic or a condition, which reaches whoever has subscribed to it. Anna
registers one as her phone; a third party names one as a recipient.
"""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.test import Client
from fcm_django.models import FCMDevice
from pytest_django import Settings

from django_pushjobs import devices, recipients, services
from django_pushjobs.exceptions import InvalidDevice
from django_pushjobs.models import Device, PushRequest
from tests.support.third_party import ThirdParty, faults

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "d:APA91bToken"
MANY = ["topic:news", "condition:!('nobody' in topics)", "condition:'a' in topics"]


@pytest.fixture(scope="module")
def credentials() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "shop-1",
        "private_key": pem.decode(),
        "client_email": "push@shop-1.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


@pytest.fixture(autouse=True)
def _fcm(settings: Settings, credentials: dict[str, str]) -> None:
    fcm = {
        "BACKEND": "django_pushjobs.backends.fcm.FCMBackend",
        "OPTIONS": {"credentials": credentials},
    }
    resolver = "django_pushjobs.devices."
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "BACKENDS": settings.PUSHJOBS["BACKENDS"] | {"fcm": fcm},
        "DEVICE_BACKENDS": {"android": "fcm", "other": "dummy"},
        "RESOLVERS": settings.PUSHJOBS["RESOLVERS"]
        | {
            "user": {"RESOLVER": f"{resolver}resolvers.UserResolver"},
            "tag": {"RESOLVER": f"{resolver}resolvers.TagResolver"},
            "theirs": {
                "RESOLVER": f"{resolver}foreign.FCMDjangoResolver",
                "OPTIONS": {"models": {"fcm": "FCMDevice"}},
            },
        },
    }


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna", password="anna")


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


@pytest.mark.parametrize("address", MANY)
def test_a_topic_is_no_device(anna: User, address: str) -> None:
    with pytest.raises(InvalidDevice) as refused:
        devices.register(anna, platform="android", address=address)
    assert [(e.pointer, e.code) for e in refused.value.errors] == [("/address", "not_a_device")]
    http = Client()
    http.force_login(anna)
    answer = http.post(
        "/api/me/devices",
        {"platform": "android", "address": address},
        content_type="application/json",
    )
    assert answer.status_code == 400
    assert not Device.objects.exists()


def test_a_token_is_one_however_it_is_spelled(anna: User) -> None:
    first, _ = devices.register(anna, platform="android", address=TOKEN)
    second, is_new = devices.register(anna, platform="android", address=f"token:{TOKEN}")
    assert (first.pk, is_new) == (second.pk, False)


@pytest.mark.parametrize("address", ["token:topic:news", "token:condition:'a'", "token:token:a"])
def test_no_token_passes_for_a_topic(anna: User, address: str) -> None:
    """Its canonical form would be that of the topic."""
    with pytest.raises(InvalidDevice):
        devices.register(anna, platform="android", address=address)


@pytest.mark.parametrize("recipient", [{"user": 1}, {"tag": "news"}, {"theirs": 1}])
def test_a_topic_that_has_become_a_device_is_left_out(anna: User, recipient: Any) -> None:
    """It was registered when its alias led elsewhere, or with another app."""
    assert "user" not in recipient or recipient["user"]
    value = next(iter(recipient.values()))
    recipient = {next(iter(recipient)): anna.pk if value == 1 else value}
    for address in (*MANY, TOKEN):
        device, _ = devices.register(anna, platform="other", address=address, tags=["news"])
        Device.objects.filter(pk=device.pk).update(backend="fcm")
        FCMDevice.objects.create(user=anna, registration_id=address, type="android")
    assert list(recipients.resolve([recipient], backend="fcm")) == [TOKEN]


@pytest.mark.parametrize("address", MANY)
def test_a_client_reaches_topics_only_if_it_may(acme: ThirdParty, address: str) -> None:
    for recipient in (address, {"address": address}):
        body = {"recipients": [TOKEN, recipient], "backend": "fcm"}
        assert faults(acme.post(body=body)) == {("/recipients/1", "not_allowed")}
        assert faults(acme.post(body=body | {"validate_only": True})) == {
            ("/recipients/1", "not_allowed")
        }
    assert not PushRequest.objects.exists()
    acme.client.may_broadcast = True
    acme.client.save()
    assert acme.post(body=body).status_code == 202


def test_in_a_batch_only_that_item_is_refused(acme: ThirdParty) -> None:
    items = [{"recipients": [to], "backend": "fcm"} for to in (TOKEN, "topic:news")]
    tickets = acme.post("batch", {"items": items}).json()["items"]
    assert [ticket["status"] for ticket in tickets] == [202, 400]


def test_our_own_code_may() -> None:
    assert services.submit(recipients=["topic:news"], backend="fcm").total == 1


def test_what_is_a_topic_only_for_others_is_an_address(acme: ThirdParty) -> None:
    assert acme.post(body={"recipients": ["topic:news"], "backend": "dummy"}).status_code == 202
