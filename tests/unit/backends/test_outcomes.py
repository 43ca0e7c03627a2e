"""What a backend returns can be stored, and is left alone if it can."""

from __future__ import annotations

from typing import Any

import pytest

from django_pushjobs.backends import Outcome, OutcomeClass
from django_pushjobs.backends.outcomes import MAX_CODE, MAX_DETAIL, MAX_PROVIDER_ID, storable
from django_pushjobs.testing import BackendContract

OK, FAIL = OutcomeClass.OK, OutcomeClass.FAIL


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(kind=OK),
        Outcome(kind=OK, provider_id="x" * MAX_PROVIDER_ID),
        Outcome(kind=FAIL, code="x" * MAX_CODE, detail="ü" * MAX_DETAIL, retry_after=1),
    ],
    ids=["plain", "id", "texts"],
)
def test_what_can_be_stored_is_the_same_object(outcome: Outcome) -> None:
    assert storable(outcome) is outcome


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("code", "a\0", "a\ufffd"),
        ("code", "x" * 65, "x" * 63 + "…"),
        ("detail", "a\ud800\udc00b", "a\ufffd\ufffdb"),
        ("detail", "two\nlines", "two\nlines"),
        ("detail", None, ""),
        ("detail", b"bytes", "b'bytes'"),
        ("provider_id", "a\0", ""),
        ("provider_id", "a\udfff", ""),
        ("provider_id", "x" * 256, ""),
        ("provider_id", 17, "17"),
        ("provider_id", None, ""),
        ("retry_after", float("nan"), None),
        ("retry_after", float("inf"), None),
        ("retry_after", -1, None),
        ("retry_after", "7", None),
        ("unknown", 1, True),
    ],
)
def test_what_cannot_be_stored_is_mended(field: str, value: Any, expected: Any) -> None:
    outcome = storable(Outcome(**{"kind": FAIL, field: value}))
    assert getattr(outcome, field) == expected
    assert outcome.kind is FAIL
    assert storable(outcome) == outcome


@pytest.mark.parametrize("nothing", [None, "ok", {"kind": "ok"}])
def test_what_is_no_outcome_is_an_error(nothing: Any) -> None:
    with pytest.raises(TypeError, match=r"push\(\) must return an Outcome"):
        storable(nothing)


@pytest.mark.parametrize("field", ["code", "detail", "provider_id"])
@pytest.mark.parametrize(
    "value", ["a\0b", "a\ud800b", "x" * 5_000], ids=["nul", "surrogate", "long"]
)
def test_the_contract_finds_it(field: str, value: str) -> None:
    with pytest.raises(AssertionError):
        BackendContract().assert_well_formed(Outcome(**{"kind": FAIL, field: value}))  # type: ignore[arg-type]
