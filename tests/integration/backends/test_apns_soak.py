"""The soak of ``python -m tests.support.apns_soak``, in small."""

from __future__ import annotations

from tests.support.apns_soak import soak


def test_nothing_is_lost_and_every_field_arrives() -> None:
    report = soak(800)
    assert report.wrong == []
    assert report.kinds.total() == 800
    assert report.kinds["ok"] > 640
    assert report.requests > 800, "something was pushed again"
    assert report.connections > 1, "connections were broken"
