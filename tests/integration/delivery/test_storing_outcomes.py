"""Whatever a backend returns is one push and one outcome, even if a database cannot store it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from pytest_django import Settings

from django_pushjobs import relay, services
from django_pushjobs.backends import BasePushBackend, Message, Outcome, OutcomeClass, Target
from django_pushjobs.delivery import attempts
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.models import PushRequest
from django_pushjobs.recipients import BaseResolver
from django_pushjobs.states import DeliveryStatus, Status

pytestmark = pytest.mark.django_db(transaction=True)

NUL, SURROGATE = "a\0b", "a\ud800b"
OK, FAIL, DROP, RETRY = (OutcomeClass(kind) for kind in ("ok", "fail", "drop", "retry"))


class Careless(BasePushBackend):
    """Returns what the test says, to any address but ``fine``."""

    returns: Any = None
    pushed: list[str]

    def push(self, message: Message, target: Target) -> Outcome:
        self.pushed.append(target.address)
        if target.address == "fine":
            return Outcome(kind=OK, provider_id="fine")
        outcome: Outcome = self.returns
        return outcome


class Anywhere(BaseResolver):
    def resolve(self, values: Sequence[Any], *, backend: str) -> Iterable[str]:
        return [NUL]


@pytest.fixture
def provider(settings: Settings) -> type[Careless]:
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "BACKENDS": {"careless": {"BACKEND": f"{__name__}.Careless"}},
        "DEFAULT_BACKEND": "careless",
        "RESOLVERS": settings.PUSHJOBS["RESOLVERS"]
        | {"anywhere": {"RESOLVER": f"{__name__}.Anywhere"}},
        "RETRY_BASE": 0.0,
        "LEASE": 0.1,
    }
    Careless.pushed = []
    return Careless


def delivered(*recipients: Any) -> PushRequest:
    """Return a request after everything that could push it again has had its chance."""
    row = services.submit(recipients=list(recipients))
    deliver(row.pk)
    for _ in range(3):
        relay.sweep()
        deliver(row.pk)
    row.refresh_from_db()
    return row


@pytest.mark.parametrize(
    "text",
    [NUL, SURROGATE, "x" * 5_000, 17, None],
    ids=["nul", "surrogate", "long", "number", "none"],
)
@pytest.mark.parametrize("kind", [OK, FAIL, DROP])
def test_an_outcome_with_any_text_is_one_push(
    provider: type[Careless], kind: OutcomeClass, text: Any
) -> None:
    provider.returns = Outcome(kind=kind, code=text, detail=text, provider_id=text)
    row = delivered("a", "fine")
    assert sorted(provider.pushed) == ["a", "fine"]
    assert row.status == (Status.SUCCEEDED if kind is OK else Status.PARTIAL)
    assert row.attempts == 1
    expected = {
        OK: DeliveryStatus.ACCEPTED,
        FAIL: DeliveryStatus.FAILED,
        DROP: DeliveryStatus.DROPPED,
    }
    delivery = row.deliveries.get(address="a")
    assert delivery.status == expected[kind]
    assert delivery.provider_id == ("17" if text == 17 else "")
    assert len(delivery.error_code) <= 64
    assert row.deliveries.get(address="fine").provider_id == "fine"


def test_what_can_be_stored_is_kept(provider: type[Careless]) -> None:
    detail = "Grüße, 世界 🚀\nand\u00a0more"
    provider.returns = Outcome(kind=FAIL, code="code", detail=f"{detail}\0", provider_id="id/1=")
    delivery = delivered("a").deliveries.get()
    assert (delivery.error, delivery.error_code) == (f"{detail}\ufffd", "code")
    assert delivery.provider_id == "id/1="


@pytest.mark.parametrize("wait", [math.nan, math.inf, -1.0, "soon", 1e300], ids=repr)
def test_any_wait_is_tried_again(provider: type[Careless], wait: Any) -> None:
    provider.returns = Outcome(kind=RETRY, code="busy", retry_after=wait)
    row = services.submit(recipients=["a"])
    assert deliver(row.pk) is Status.PENDING
    row.refresh_from_db()
    assert (row.error_code, row.attempts) == ("busy", 1)
    assert row.next_attempt_at is not None


def test_a_kind_may_be_its_name(provider: type[Careless]) -> None:
    provider.returns = Outcome(kind="ok")  # type: ignore[arg-type]
    assert delivered("a").status == Status.SUCCEEDED
    assert provider.pushed == ["a"]


@pytest.mark.parametrize("nothing", [None, "ok", Outcome(kind="fine")], ids=repr)  # type: ignore[arg-type]
def test_what_is_no_outcome_is_a_bug_that_is_reported(
    provider: type[Careless], nothing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    provider.returns = nothing
    row = services.submit(recipients=["a"], on_unknown="stop")
    assert deliver(row.pk) is Status.FAILED
    row.refresh_from_db()
    assert (row.error_code, row.unknown) == ("internal_error", 1)
    assert "failed" in caplog.text


def test_a_result_that_the_database_refuses_is_written_without_its_texts(
    provider: type[Careless], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # As if something got past the first look: a lone surrogate fits into no database.
    monkeypatch.setattr(attempts, "storable", lambda outcome: outcome)
    provider.returns = Outcome(kind=FAIL, code="no_credit", detail=SURROGATE, provider_id="id")
    row = delivered("a", "fine")
    assert sorted(provider.pushed) == ["a", "fine"]
    assert (row.status, row.accepted, row.failed) == (Status.PARTIAL, 1, 1)
    assert (row.error_code, row.error) == ("no_credit", "")
    delivery = row.deliveries.get(address="a")
    assert (delivery.status, delivery.error_code) == (DeliveryStatus.FAILED, "no_credit")
    assert "cannot be stored" in caplog.text
    # The same for what was said at an attempt that is not the last.
    provider.returns = Outcome(kind=RETRY, code=SURROGATE, detail=SURROGATE)
    row = services.submit(recipients=["a"])
    assert deliver(row.pk) is Status.PENDING
    row.refresh_from_db()
    assert (row.attempts, row.error_code) == (1, "unstorable")


def test_an_address_of_a_resolver_that_cannot_be_stored_is_one_push(
    provider: type[Careless],
) -> None:
    provider.returns = Outcome(kind=OK, provider_id="id")
    row = delivered({"anywhere": 1})
    assert provider.pushed == [NUL]
    assert (row.status, row.attempts) == (Status.SUCCEEDED, 1)
