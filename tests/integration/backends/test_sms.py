"""A backend of another package gets everything that ours have, by public names alone."""

from __future__ import annotations

import socket
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from django_pushjobs.backends import BasePushBackend, Message, OutcomeClass, Target, backends
from django_pushjobs.checks import TAG
from django_pushjobs.testing import BackendContract
from tests.support import sms_backend
from tests.support.provider import Provider, http, provider
from tests.support.sms_backend import SmsBackend

ROOT = Path(__file__).resolve().parents[3]
MESSAGE = Message(request_id=uuid.uuid4(), body="secret body")
TARGET = Target(delivery_id=uuid.uuid4(), address="+49301234567")
OPTIONS = {"key": "secret", "sender": "Shop"}


@pytest.fixture
def gateway() -> Iterator[Provider]:
    with provider() as running:
        yield running


class TestSmsBackend(BackendContract):
    address = "+49301234567"

    @pytest.fixture(autouse=True)
    def _gateway(self, gateway: Provider) -> None:
        self.url = gateway.url

    def make(self, **options: object) -> BasePushBackend:
        return SmsBackend(alias="sms", url=self.url, **OPTIONS, **options)

    def make_unreachable(self) -> BasePushBackend:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        return SmsBackend(alias="sms", url=f"http://127.0.0.1:{port}/", **OPTIONS)


@pytest.mark.parametrize(
    ("status", "error", "kind", "code", "wait"),
    [
        (201, "", OutcomeClass.OK, "", None),
        (402, "", OutcomeClass.CONFIG, "http_402", None),
        (422, "unknown_number", OutcomeClass.DROP, "unknown_number", None),
        (422, "too_long", OutcomeClass.FAIL, "too_long", None),
        (422, "secret body", OutcomeClass.FAIL, "http_422", None),
        (429, "daily_limit", OutcomeClass.THROTTLE, "daily_limit", 3_600),
        (429, "", OutcomeClass.THROTTLE, "http_429", None),
        (503, "", OutcomeClass.RETRY, "http_503", None),
    ],
)
def test_its_answers_mean_what_its_rows_say(
    gateway: Provider,
    status: int,
    error: str,
    kind: OutcomeClass,
    code: str,
    wait: float | None,
) -> None:
    backend = SmsBackend(alias="sms", url=gateway.url, **OPTIONS)
    gateway.script(http(status, b'{"message_id": "m-1", "error": "%s"}' % error.encode()))
    outcome = backend.push(MESSAGE, TARGET)
    backend.close()
    assert (outcome.kind, outcome.code, outcome.retry_after) == (kind, code, wait)
    assert outcome.provider_id == ("m-1" if kind is OutcomeClass.OK else "")
    assert "secret" not in repr(outcome)
    assert gateway.requests[0].json["to"] == TARGET.address


def entry(url: str = "https://sms.example/", **options: Any) -> dict[str, Any]:
    path = f"{sms_backend.__name__}.SmsBackend"
    return {"BACKEND": path, "OPTIONS": {"url": url, **OPTIONS, **options}}


def test_the_settings_make_it_and_override_its_answers(gateway: Provider) -> None:
    answers = {"402": "retry", "422 unknown_number": "fail"}
    with override_settings(PUSHJOBS={"BACKENDS": {"sms": entry(gateway.url, answers=answers)}}):
        gateway.script(http(402), http(422, b'{"error": "unknown_number"}'))
        first, second = (backends["sms"].push(MESSAGE, TARGET) for _ in range(2))
    assert (first.kind, first.code) == (OutcomeClass.RETRY, "http_402")
    assert first.detail == "the account at the SMS gateway has no credit"
    assert (second.kind, second.code) == (OutcomeClass.FAIL, "unknown_number")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"sender": "ShopOfHorrors"}, ["sms.W001"]),
        ({"timeout": 180}, ["django_pushjobs.W004"]),
        ({"sender": "ShopOfHorrors", "timeout": 180}, ["django_pushjobs.W004", "sms.W001"]),
        ({"sender": "Shop!"}, ["django_pushjobs.E007"]),
        ({"answers": {"402": "pay"}}, ["django_pushjobs.E007"]),
        ({"colour": "red"}, ["django_pushjobs.E007"]),
    ],
)
def test_manage_py_check_reports_what_it_finds(
    options: dict[str, Any], expected: list[str]
) -> None:
    settings = {"BACKENDS": {"sms": entry(**options)}, "DEFAULT_BACKEND": "sms"}
    with override_settings(PUSHJOBS=settings):
        messages = run_checks(tags=[TAG])
    assert [message.id for message in messages] == expected
    assert all("'sms'" in message.msg and message.hint for message in messages)


def test_an_address_that_it_cannot_know_is_named() -> None:
    backend = SmsBackend(alias="sms", url="https://sms.example/", **OPTIONS)
    assert backend.problem_with("+49301234567") is None
    assert backend.problem_with("0301234567")


def test_it_is_the_recipe_of_the_documentation() -> None:
    source = Path(sms_backend.__file__).read_text("utf-8")
    code = source.partition("from __future__ import annotations\n")[2].strip()
    page = (ROOT / "docs/howto/backends.rst").read_text("utf-8")
    assert textwrap.indent(code, "    ") in page
