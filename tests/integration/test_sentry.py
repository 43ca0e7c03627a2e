"""What reaches Sentry: proved with the real SDK, its real transport and a receiver."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest

from django_pushjobs import sentry
from tests.support.envelopes import Inbox, envelope_receiver
from tests.support.reporting import CANARY


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with envelope_receiver() as receiver:
        yield receiver


def run(scenario: str, inbox: Inbox, *, gevent: bool = False, **environ: str) -> None:
    """Run a scenario in a process of its own until it has ended."""
    patched = ["-m", "gevent.monkey", "tests/support/reporting.py"]
    command = patched if gevent else ["-m", "tests.support.reporting"]
    done = subprocess.run(
        [sys.executable, *command, scenario, inbox.dsn],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def received(inbox: Inbox) -> bytes:
    return b"".join(inbox.bodies)


def test_payloads_and_addresses_stay_here(inbox: Inbox) -> None:
    run("private", inbox)

    events = inbox.events(3)
    assert CANARY.encode() not in received(inbox)
    foreign_log, our_log, failure = events
    assert foreign_log["logentry"]["message"] == "[Filtered]"
    assert our_log["logentry"] == {"message": "could not send %s"}
    chain = failure["exception"]["values"]
    assert [error["type"] for error in chain] == ["JSONDecodeError", "UnluckyError"]
    assert {error["value"] for error in chain} == {"[Filtered]"}
    assert chain[-1]["stacktrace"]["frames"][-1]["function"] == "_private_failure"
    assert "careless" in [crumb.get("category") for crumb in failure["breadcrumbs"]["values"]]


def test_the_password_of_a_proxy_stays_here(inbox: Inbox) -> None:
    run("tunnel", inbox)

    (event,) = inbox.events(1)
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    (tunnel,) = [one for one in frames if one["module"] == "django_pushjobs.transport.proxy"][:1]
    assert (tunnel["function"], "Proxy(host=" in tunnel["vars"]["self"]) == ("tunnel", True)
    assert CANARY.encode() not in received(inbox)
    assert base64.b64encode(f"anna:{CANARY}".encode()) not in received(inbox)


def test_one_error_is_one_event_with_the_tags_of_its_push_request(inbox: Inbox) -> None:
    run("private", inbox)

    events = inbox.events(3)
    assert len(events) == 3  # two log records, and one error that was logged and captured
    assert events[-1]["tags"] == {
        "rq.job_id": "push-1",
        "rq.queue": "pushjobs",
        "push_request.id": str(UUID(int=7)),
        "push_request.backend": "gateway",
        "push_request.client": "3",
    }
    assert events[-1]["transaction"] == "django_pushjobs.jobs.run_push_request"


def test_payloads_are_sent_where_the_setting_allows_it(inbox: Inbox) -> None:
    run("private", inbox, SEND_PAYLOADS="1")

    failure = inbox.events(3)[-1]
    assert f"cannot push to {CANARY}-address" in failure["exception"]["values"][-1]["value"]
    assert failure["extra"]["recipients"] == [f"{CANARY}-address"]


def test_an_outage_is_one_event(inbox: Inbox) -> None:
    run("outage", inbox)

    (event,) = inbox.events(1)
    assert event["logentry"]["message"] == "A backend is paused: its provider cannot be reached"
    assert (event["level"], event["logger"]) == ("warning", "django_pushjobs.limits.breaker")
    assert event["tags"] == {
        "push_request.backend": "gateway",
        "pushjobs.error_code": "timeout",
        "pushjobs.loop": "relay",
    }
    assert CANARY.encode() not in received(inbox)


def test_the_api_keeps_the_body_of_its_requests(inbox: Inbox) -> None:
    run("http", inbox)

    (event,) = inbox.events(1)
    assert CANARY.encode() not in received(inbox)
    assert event["request"] == {"url": "http://localhost/push-requests", "method": "POST"}


def test_every_greenlet_has_its_own_scope(inbox: Inbox) -> None:
    run("greenlets", inbox, gevent=True)

    events = inbox.events(6)
    assert len(events) == 6
    of_jobs = [event for event in events if "push_request.id" in event.get("tags", {})]
    for number in (1, 2):
        mine = [e for e in of_jobs if e["tags"]["push_request.client"] == str(number)]
        assert len(mine) == 2  # one of the job's greenlet, one of a greenlet it started
        for event in mine:
            assert event["tags"] == {
                "rq.job_id": f"job-{number}",
                "rq.queue": f"queue-{number}",
                "push_request.id": str(UUID(int=number)),
                "push_request.backend": f"backend-{number}",
                "push_request.client": str(number),
            }
            assert event["contexts"]["trace"]["trace_id"] == f"{number:032x}"
    others = [event.get("tags", {}) for event in events if event not in of_jobs]
    assert sorted(others, key=len) == [{}, {"pushjobs.loop": "writeback"}]


def test_the_receiver_would_have_seen_the_body(inbox: Inbox) -> None:
    run("http", inbox, SEND_PAYLOADS="1")

    (event,) = inbox.events(1)
    assert event["request"]["data"] == {"recipients": [CANARY], "title": CANARY}


@pytest.mark.parametrize("environ", [{}, {"WITHOUT_RQ": "1"}], ids=["with", "without"])
def test_a_failed_job_is_reported_once_with_and_without_rq_integration(
    inbox: Inbox, environ: dict[str, str]
) -> None:
    run("rq", inbox, gevent=True, **environ)

    events = {event["tags"]["rq.job_id"]: event for event in inbox.events(2)}
    assert len(inbox.events(2)) == 2
    assert events["foreign"]["tags"] == {"rq.job_id": "foreign", "rq.queue": "reporting"}
    # Not ours: what is private in it is the project's to say.
    assert events["foreign"]["exception"]["values"][-1]["value"] == f"failed with {CANARY}"
    assert events["ours"]["exception"]["values"][-1]["type"] == "ValueError"
    assert f"{CANARY}-argument".encode() not in received(inbox)


def test_a_forked_child_that_flushes_loses_nothing(inbox: Inbox) -> None:
    run("leave", inbox)

    (event,) = inbox.events(1)
    assert event["exception"]["values"][-1]["type"] == "UnluckyError"
    assert "arbiter" not in [crumb["category"] for crumb in event["breadcrumbs"]["values"]]


@pytest.mark.parametrize("installed", [True, False], ids=["not initialised", "not installed"])
def test_without_sentry_nothing_happens(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    if not installed:
        monkeypatch.setattr(sentry, "sentry_sdk", None)

    with sentry.job_scope("1", queue="q", function="f"), sentry.background("loop"):
        sentry.tag_push_request(UUID(int=1), "gateway", None)
        sentry.protect()
        sentry.capture(ValueError())
    sentry.flush()
