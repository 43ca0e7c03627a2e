"""The ids of a call."""

from __future__ import annotations

import pytest

from django_pushjobs.api.tracing import Trace

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (GOOD, GOOD),
        (f" {GOOD} ", GOOD),
        (f"cc-{TRACE}-{PARENT}-01", GOOD),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-adds", GOOD),
        (f"00-{TRACE}-{PARENT}-01-more", ""),
        (f"ff-{TRACE}-{PARENT}-01", ""),
        (f"00-{TRACE.upper()}-{PARENT}-01", ""),
        (f"00-{'0' * 32}-{PARENT}-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"{GOOD},{GOOD}", ""),
        (f"{GOOD}\n", GOOD),
        ("", ""),
    ],
)
def test_a_traceparent_is_kept_or_ignored(sent: str, kept: str) -> None:
    assert Trace.of({"traceparent": sent}).traceparent == kept


def test_a_request_id_is_kept_or_made() -> None:
    assert Trace.of({"X-Request-ID": "call-1"}).request_id == "call-1"
    made = [Trace.of({"X-Request-ID": bad}).request_id for bad in ("", "a b", "é", "x" * 129)]
    assert len(set(made)) == 4
