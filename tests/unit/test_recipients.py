from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from django.test import override_settings

from django_pushjobs.exceptions import ConfigurationError
from django_pushjobs.recipients import (
    MAX_ADDRESS,
    BaseResolver,
    problem_with,
    resolve,
    resolver,
    split,
)


class UserResolver(BaseResolver):
    """Two devices a user."""

    def __init__(self, *, kind: str, prefix: str = "") -> None:
        super().__init__(kind=kind)
        self.prefix = prefix

    def validate(self, value: Any) -> str | None:
        return None if isinstance(value, int) else "a user is a number"

    def resolve(self, values: Sequence[Any], *, backend: str) -> Iterable[str]:
        for value in values:
            yield from (f"{self.prefix}{backend}-{value}-{device}" for device in "ab")


ADDRESS = {"RESOLVER": "django_pushjobs.recipients.AddressResolver"}
USERS = override_settings(
    PUSHJOBS={
        "RESOLVERS": {
            "address": ADDRESS,
            "user": {"RESOLVER": f"{__name__}.UserResolver", "OPTIONS": {"prefix": "u-"}},
        }
    }
)


@pytest.mark.parametrize("recipient", ["token", {"address": "token"}, "x" * MAX_ADDRESS, "ä 世"])
def test_an_address_is_right(recipient: Any) -> None:
    assert problem_with(recipient) is None


@pytest.mark.parametrize(
    ("recipient", "problem"),
    [
        ("", "blank"),
        ("   ", "blank"),
        ("x" * (MAX_ADDRESS + 1), "at most 2048 characters"),
        ("a\nb", "control characters"),
        ("a\x00b", "control characters"),
        ("a\ud800b", "control characters"),
        ({"address": 5}, "is a string"),
        ({"address": None}, "is a string"),
        ({"user": 5}, "unknown kind of recipient: 'user'"),
        ({}, "one key"),
        ({"address": "a", "user": 5}, "one key"),
        (None, "one key"),
        (5, "one key"),
        (["a"], "one key"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(recipient: Any, problem: str) -> None:
    assert problem in str(problem_with(recipient))


def test_a_string_is_an_address() -> None:
    assert split("token") == ("address", "token")
    assert split({"user": 5}) == ("user", 5)


def test_addresses_are_resolved_once_each_and_in_order() -> None:
    assert list(resolve(["b", "a", {"address": "b"}, "c", "a"], backend="x")) == ["b", "a", "c"]
    assert list(resolve([], backend="x")) == []


def test_of_several_spellings_the_first_is_yielded() -> None:
    found = resolve(["AB", "ab", {"address": "Ab"}, "c"], backend="x", canonical=str.lower)
    assert list(found) == ["AB", "c"]


@USERS
def test_a_resolver_of_the_project_has_its_options() -> None:
    assert problem_with({"user": 5}) is None
    assert problem_with({"user": "5"}) == "a user is a number"
    found = list(resolve(["token", {"user": 5}, {"user": 5}], backend="x"))
    assert found == ["token", "u-x-5-a", "u-x-5-b"]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"RESOLVER": "nowhere.Resolver"},
        {"RESOLVER": "builtins.dict"},
        ADDRESS | {"OPTIONS": {"unknown": 1}},
    ],
)
def test_a_wrong_setting_names_the_kind(entry: Any) -> None:
    with (
        override_settings(PUSHJOBS={"RESOLVERS": {"user": entry}}),
        pytest.raises(ConfigurationError, match="'user'"),
    ):
        resolver("user")


def test_a_resolver_must_resolve() -> None:
    with pytest.raises(NotImplementedError):
        BaseResolver(kind="x").resolve([], backend="y")
