"""Errors of fields, and pointers to them."""

from __future__ import annotations

import pytest

from django_pushjobs.exceptions import (
    FieldError,
    Invalid,
    InvalidCallbackEndpoint,
    InvalidDevice,
    InvalidPushRequest,
    PushJobsError,
    pointer_to,
)


@pytest.mark.parametrize(
    ("tokens", "pointer"),
    [
        # The examples of RFC 6901, section 5.
        ((), ""),
        (("foo",), "/foo"),
        (("foo", 0), "/foo/0"),
        (("",), "/"),
        (("a/b",), "/a~1b"),
        (("c%d",), "/c%d"),
        (("e^f",), "/e^f"),
        (("g|h",), "/g|h"),
        (("i\\j",), "/i\\j"),
        (('k"l',), '/k"l'),
        ((" ",), "/ "),
        (("m~n",), "/m~0n"),
        # Its section 4: ~01 is ~1, not a slash.
        (("~1",), "/~01"),
        # What a JSON parser returns, and UTF-8 has no bytes for.
        (("options", "\ud83d"), "/options/?"),
        (("x" * 65, "y"), f"/{'x' * 64}/y"),
    ],
)
def test_a_pointer_leads_to_any_member(tokens: tuple[str | int, ...], pointer: str) -> None:
    assert pointer_to(*tokens) == pointer


def test_an_error_keeps_its_place_in_something_larger() -> None:
    error = FieldError("/title", "must be a string", "invalid_type")
    assert error.below(pointer_to("items", 3)) == FieldError(
        "/items/3/title", "must be a string", "invalid_type"
    )


@pytest.mark.parametrize("kind", [InvalidPushRequest, InvalidCallbackEndpoint, InvalidDevice])
def test_what_is_invalid_names_every_field(kind: type[Invalid]) -> None:
    errors = [FieldError("", "is wrong", "wrong"), FieldError("/url", "is too", "wrong")]
    invalid = kind(errors)
    assert isinstance(invalid, Invalid)
    assert isinstance(invalid, PushJobsError)
    assert invalid.errors == tuple(errors)
    assert str(invalid) == "/: is wrong; /url: is too"
