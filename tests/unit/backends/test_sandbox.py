"""What the addresses of the sandbox say."""

from __future__ import annotations

from uuid import uuid4

import pytest

from django_pushjobs.backends import Message, Outcome, OutcomeClass, Target
from django_pushjobs.backends.sandbox import OUTCOMES, SandboxBackend


def push(address: str, attempt: int = 1) -> Outcome:
    message = Message(request_id=uuid4(), attempt=attempt)
    return SandboxBackend(alias="sandbox").push(
        message, Target(delivery_id=uuid4(), address=address)
    )


@pytest.mark.parametrize(
    ("address", "kind", "unknown"),
    [
        ("sandbox:ok", "ok", False),
        ("sandbox:slow;ms=1", "ok", False),
        ("sandbox:retry", "retry", False),
        ("sandbox:throttle;after=2", "throttle", False),
        ("sandbox:reconnect", "reconnect", False),
        ("sandbox:timeout", "retry", True),
        ("sandbox:unknown", "reconnect", True),
        ("sandbox:config", "config", False),
        ("sandbox:gone", "drop", False),
        ("sandbox:fail", "fail", False),
        ("a-real-token", "ok", False),
    ],
)
def test_an_address_says_what_it_ends_in(address: str, kind: str, unknown: bool) -> None:
    outcome = push(address)
    assert (outcome.kind, outcome.unknown) == (OutcomeClass(kind), unknown)
    assert bool(outcome.code) is (kind != "ok")


def test_every_class_of_outcomes_can_be_had() -> None:
    assert {outcome.kind for outcome in OUTCOMES.values()} == set(OutcomeClass)


def test_it_may_ask_for_a_wait_and_give_in_after_some_attempts() -> None:
    address = "sandbox:retry;after=3;times=2"
    assert push(address).retry_after == 3
    assert [push(address, n).kind for n in (1, 2, 3)] == ["retry", "retry", "ok"]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("sandbox:", "are ok"),
        ("sandbox:okay", "are ok"),
        ("sandbox:retry;afer=3", "ms, after, times"),
        ("sandbox:gone;times=2", "are ms"),
        ("sandbox:slow;ms=30001", "0 to 30000"),
        ("sandbox:slow;ms=soon", "whole number"),
        ("sandbox:slow;ms=-1", "whole number"),
    ],
)
def test_a_typo_is_told(address: str, told: str) -> None:
    assert told in (SandboxBackend(alias="sandbox").problem_with(address) or "")
    # Where nobody asked before, as behind a resolver, it is an outcome.
    assert push(address).kind is OutcomeClass.FAIL


def test_other_addresses_are_nobodys_typo() -> None:
    assert SandboxBackend(alias="sandbox").problem_with("sandbx:okay") is None
