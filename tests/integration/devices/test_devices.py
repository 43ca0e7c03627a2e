"""Devices of our users: registered, resolved, dropped on a provider's word, and revived."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from fcm_django.models import FCMDevice
from push_notifications.models import APNSDevice, WebPushDevice
from pytest_django import Settings

from django_pushjobs import devices, recipients, services
from django_pushjobs.backends import Outcome, OutcomeClass, locmem
from django_pushjobs.delivery import dead_addresses
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.devices import registry, resolvers
from django_pushjobs.exceptions import ConfigurationError, InvalidDevice
from django_pushjobs.limits import breaker
from django_pushjobs.models import Device, Pause
from django_pushjobs.states import Status
from django_pushjobs.testing import captured_pushes

pytestmark = pytest.mark.django_db(transaction=True)

GONE = Outcome(kind=OutcomeClass.DROP, code="http_410", detail="the subscription is gone")


@pytest.fixture(autouse=True)
def _registry(settings: Settings) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "DEVICE_BACKENDS": {"web": "locmem", "ios": "dummy", "ios:beta": "locmem"},
        "RESOLVERS": {
            "address": {"RESOLVER": "django_pushjobs.recipients.AddressResolver"},
            "user": {"RESOLVER": "django_pushjobs.devices.resolvers.UserResolver"},
            "tag": {"RESOLVER": "django_pushjobs.devices.resolvers.TagResolver"},
        },
    }
    dead_addresses.forget()


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna", password="anna")


@pytest.fixture
def bert() -> User:
    return User.objects.create_user("bert")


@pytest.fixture
def outbox() -> Iterator[list[locmem.Pushed]]:
    with captured_pushes() as pushes:
        yield pushes


def register(user: User | None, address: str, **fields: Any) -> Device:
    device, _ = devices.register(user, **{"platform": "web", "address": address, **fields})
    return device


def addresses(recipient: dict[str, Any], backend: str = "locmem") -> list[str]:
    return sorted(recipients.resolve([recipient], backend=backend))


class TestRegister:
    def test_again_renews_and_does_not_double(self, anna: User) -> None:
        first = register(anna, "a", tags=["news", "sport"])
        again, is_new = devices.register(
            anna, platform="web", address="a", locale="de-AT", tags=["news", "weather"]
        )
        assert (again.pk, is_new) == (first.pk, False)
        assert (again.locale, again.tags) == ("de-AT", ["news", "weather"])
        assert again.registered_at > first.registered_at

    def test_by_somebody_else_moves_it(self, anna: User, bert: User) -> None:
        register(anna, "a")
        register(bert, "a")
        assert addresses({"user": anna.pk}) == []
        assert addresses({"user": bert.pk}) == ["a"]

    def test_revives_it(self, anna: User) -> None:
        device = register(anna, "a")
        assert devices.drop([device.pk]) == 1
        assert addresses({"user": anna.pk}) == []
        register(anna, "a")
        assert addresses({"user": anna.pk}) == ["a"]

    def test_takes_addresses_of_four_thousand_characters(self, anna: User) -> None:
        one, two = "é" * 4_095 + "1", "é" * 4_095 + "2"
        register(anna, one)
        register(anna, two)
        assert addresses({"user": anna.pk}) == [one, two]

    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"platform": "tv"}, "/platform"),
            ({"platform": "android"}, "/platform"),
            ({"address": " "}, "/address"),
            ({"address": "a\x00"}, "/address"),
            ({"address": 1}, "/address"),
            ({"address": "x" * 4_097}, "/address"),
            ({"app": "a b"}, "/app"),
            ({"locale": "??"}, "/locale"),
            ({"tags": "news"}, "/tags"),
            ({"tags": ["ok", ""]}, "/tags/1"),
            ({"tags": ["t"] * 51}, "/tags"),
        ],
    )
    def test_names_what_is_wrong(self, anna: User, fields: dict[str, Any], pointer: str) -> None:
        with pytest.raises(InvalidDevice) as caught:
            register(anna, **{"address": "a", **fields})
        assert [error.pointer for error in caught.value.errors] == [pointer]
        assert not Device.objects.exists()

    def test_ends_somewhere(self, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "MAX_DEVICES", 2)
        register(anna, "a")
        register(anna, "b")
        register(anna, "a")
        with pytest.raises(InvalidDevice, match="already"):
            register(anna, "c")

    def test_ends_there_for_calls_at_the_same_time(
        self, anna: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry, "MAX_DEVICES", 5)
        together = threading.Barrier(10)

        def call(number: int) -> bool:
            try:
                together.wait()
                register(anna, f"device-{number}")
            except InvalidDevice:
                return False
            finally:
                connection.close()
            return True

        with ThreadPoolExecutor(10) as pool:
            assert sum(pool.map(call, range(10))) == Device.objects.count() == 5


class TestResolve:
    def test_a_user_is_reached_where_the_backend_reaches(self, anna: User) -> None:
        register(anna, "browser")
        register(anna, "phone", platform="ios")
        register(anna, "beta", platform="ios", app="beta")
        assert addresses({"user": anna.pk}) == ["beta", "browser"]
        assert addresses({"user": str(anna.pk)}, "dummy") == ["phone"]

    def test_a_tag_reaches_all_who_have_it(self, anna: User, bert: User) -> None:
        register(anna, "a", tags=["news"])
        register(bert, "b", tags=["news", "sport"])
        register(None, "nobody", tags=["sport"])
        assert addresses({"tag": "news"}) == ["a", "b"]
        assert addresses({"tag": "sport"}) == ["b", "nobody"]

    def test_reads_page_by_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resolvers, "PAGE", 3)
        for number in range(7):
            register(None, f"d{number}", tags=["all"])
        with CaptureQueriesContext(connection) as queries:
            found = recipients.resolve([{"tag": "all"}], backend="locmem")
            assert next(found) == "d0"
            assert len(queries) == 1
            assert len(list(found)) == 6
        assert len(queries) == 3

    @pytest.mark.parametrize("value", [None, True, "anna", [1], {"id": 1}, 10**30, "1\x00"])
    def test_what_is_no_key_is_told_before(self, value: Any) -> None:
        assert recipients.problem_with({"user": value}) is not None

    def test_a_push_request_reaches_a_user(self, anna: User, outbox: list[locmem.Pushed]) -> None:
        register(anna, "a")
        row = services.submit(recipients=[{"user": anna.pk}], title="Hello")
        assert deliver(row.pk) is Status.SUCCEEDED
        assert [push.target.address for push in outbox] == ["a"]


class TestForeign:
    def foreign(self, settings: Settings, resolver: str, **models: str) -> None:
        entry = {
            "RESOLVER": f"django_pushjobs.devices.foreign.{resolver}",
            "OPTIONS": {"models": models},
        }
        settings.PUSHJOBS = settings.PUSHJOBS | {"RESOLVERS": {"user": entry}}

    def test_django_push_notifications(self, anna: User, settings: Settings) -> None:
        self.foreign(
            settings, "PushNotificationsResolver", dummy="APNSDevice", locmem="WebPushDevice"
        )
        APNSDevice.objects.create(user=anna, registration_id="ab" * 32)
        APNSDevice.objects.create(user=anna, registration_id="cd" * 32, active=False)
        WebPushDevice.objects.create(
            user=anna, registration_id="https://push.example/1", p256dh="P", auth="A"
        )
        assert addresses({"user": anna.pk}, "dummy") == ["ab" * 32]
        assert addresses({"user": anna.pk}) == [
            '{"endpoint":"https://push.example/1","keys":{"p256dh":"P","auth":"A"}}'
        ]
        assert addresses({"user": anna.pk}, "console") == []

    def test_fcm_django(self, anna: User, settings: Settings) -> None:
        self.foreign(settings, "FCMDjangoResolver", locmem="FCMDevice")
        FCMDevice.objects.create(user=anna, registration_id="token", type="android")
        assert addresses({"user": anna.pk}) == ["token"]

    def test_a_model_that_is_not_known_is_told(self, settings: Settings) -> None:
        self.foreign(settings, "FCMDjangoResolver", locmem="Phone")
        with pytest.raises(ConfigurationError, match="Phone"):
            recipients.resolver("user")


class TestVerdicts:
    def push(self, *results: Outcome, to: list[str]) -> Status | None:
        with captured_pushes():
            for address, result in zip(to, results, strict=True):
                locmem.script(result, address=address)
            row = services.submit(recipients=to)
            return deliver(row.pk)

    def test_a_dead_address_drops_its_device_with_evidence(self, anna: User) -> None:
        device, other = register(anna, "a"), register(anna, "b")
        self.push(GONE, Outcome(kind=OutcomeClass.OK), to=["a", "b"])
        device.refresh_from_db()
        other.refresh_from_db()
        assert (device.state, device.reason, other.state) == ("dropped", "http_410", "active")
        assert device.evidence["detail"] == "the subscription is gone"
        assert set(device.evidence) == {"detail", "push_request", "delivery"}

    def test_a_payload_error_never_does(self, anna: User) -> None:
        device = register(anna, "a")
        self.push(Outcome(kind=OutcomeClass.FAIL, code="payload_too_large"), to=["a"])
        device.refresh_from_db()
        assert device.state == "active"

    def test_nothing_is_asked_where_nothing_is_dropped(self, anna: User) -> None:
        register(anna, "a")
        with CaptureQueriesContext(connection) as queries:
            self.push(Outcome(kind=OutcomeClass.OK), to=["a"])
        assert not [q for q in queries if "django_pushjobs_device" in q["sql"]]

    def test_who_came_back_meanwhile_is_not_who_was_meant(
        self, anna: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device = register(anna, "a")

        def push(self: Any, message: Any, target: Any) -> Outcome:
            register(anna, "a")
            return GONE

        monkeypatch.setattr(locmem.LocMemBackend, "push", push)
        deliver(services.submit(recipients=["a"]).pk)
        device.refresh_from_db()
        assert device.state == "active"

    def test_a_wave_wipes_nothing_and_pauses_the_backend(self, anna: User) -> None:
        names = [f"d{number}" for number in range(30)]
        for name in names:
            register(None, name)
        # A few at first, as nobody can know yet; then the rest.
        self.push(*[GONE] * 10, to=names[:10])
        assert Device.objects.filter(state="dropped").count() == 10
        self.push(*[GONE] * 20, to=names[10:])
        assert not Device.objects.filter(state="dropped").exists()
        pause = Pause.objects.get()
        assert (pause.backend, pause.error_code) == ("locmem", breaker.DEAD_WAVE)

    def test_only_a_push_that_is_accepted_ends_such_a_pause(self, anna: User) -> None:
        register(anna, "a")
        breaker.pause(breaker.Place("locmem"), breaker.DEAD_WAVE, "", using="default")
        for result, is_over in ((GONE, False), (Outcome(kind=OutcomeClass.OK), True)):
            row = services.submit(recipients=["a"])
            Pause.objects.update(probe=row.pk)
            breaker.forget()
            with captured_pushes(result):
                deliver(row.pk)
            assert Pause.objects.exists() is not is_over
            assert addresses({"user": anna.pk}) == ["a"]

    def test_many_deaths_among_many_more_pushes_are_no_wave(self) -> None:
        names = [f"d{number}" for number in range(60)]
        for name in names:
            register(None, name)
        fine = Outcome(kind=OutcomeClass.OK)
        self.push(*[GONE] * 25, *[fine] * 35, to=names)
        assert Device.objects.filter(state="dropped").count() == 25
        assert not Pause.objects.exists()


class TestEndpoint:
    URL = "/api/me/devices"

    def test_a_user_registers_looks_and_forgets(self, client: Client, anna: User) -> None:
        client.force_login(anna)
        body = {"platform": "web", "address": "a", "tags": ["news"]}
        made = client.post(self.URL, body, content_type="application/json")
        assert made.status_code == 201
        assert client.post(self.URL, body, content_type="application/json").status_code == 200
        [shown] = client.get(self.URL).json()["devices"]
        assert (shown["tags"], shown["state"]) == (["news"], "active")
        assert "address" not in shown
        assert client.delete(f"{self.URL}/{shown['id']}").status_code == 204
        assert client.delete(f"{self.URL}/{shown['id']}").status_code == 404

    def test_devices_of_others_do_not_exist(self, client: Client, anna: User, bert: User) -> None:
        device = register(bert, "b")
        client.force_login(anna)
        assert client.get(self.URL).json() == {"devices": []}
        assert client.delete(f"{self.URL}/{device.pk}").status_code == 404

    @pytest.mark.parametrize(
        ("body", "pointers"),
        [
            ([], {""}),
            ({}, {"/platform", "/address"}),
            ({"platform": "web", "address": "a", "user": 1}, {"/user"}),
            ({"platform": "web", "address": ["a"]}, {"/address"}),
        ],
    )
    def test_what_is_wrong_is_a_problem(
        self, client: Client, anna: User, body: Any, pointers: set[str]
    ) -> None:
        client.force_login(anna)
        response = client.post(self.URL, body, content_type="application/json")
        assert response.status_code == 400
        assert response.headers["Content-Type"] == "application/problem+json"
        assert {error["pointer"] for error in response.json()["errors"]} == pointers

    def test_strangers_are_refused_and_csrf_is_checked(self, anna: User) -> None:
        assert Client().get(self.URL).status_code == 403
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(anna)
        body = {"platform": "web", "address": "a"}
        assert strict.post(self.URL, body, content_type="application/json").status_code == 403


class TestAdmin:
    LIST = "/admin/django_pushjobs/device/"

    def test_finds_by_user_and_by_address_and_shows_none(
        self, admin_client: Client, anna: User
    ) -> None:
        device = register(anna, "secret-address", tags=["news"])
        for term, count in ((str(anna.pk), 1), ("secret-address", 1), ("secret", 0)):
            page = admin_client.get(self.LIST, {"q": term})
            assert page.context["cl"].result_count == count, term
        page = admin_client.get(f"{self.LIST}{device.pk}/change/")
        assert page.status_code == 200
        assert b"secret-address" not in page.content

    def test_drops_and_revives(self, admin_client: Client, anna: User) -> None:
        device = register(anna, "a")
        for action, state in (("drop_selected", "dropped"), ("revive_selected", "active")):
            data = {"action": action, "_selected_action": [device.pk]}
            assert admin_client.post(self.LIST, data).status_code == 302
            device.refresh_from_db()
            assert device.state == state
