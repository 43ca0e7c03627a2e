"""A web server with greenlets: calls that wait for the end, and streams of what happens."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually
from tests.support.web import Answer, Web, events

MESSAGE = {"recipients": ["token"], "title": "Hello"}
LATER = MESSAGE | {"send_at": "2099-01-01T00:00:00Z"}


@pytest.fixture
def web(stack: Stack) -> Web:
    stack.gateway(latency_ms=100)
    return Web(stack)


@pytest.fixture
def worked(stack: Stack, web: Web) -> Web:
    stack.worker("--processes", "1", "--concurrency", "100")
    return web


def test_a_call_that_prefers_to_wait_gets_the_end(worked: Web) -> None:
    done = worked.call("POST", body=MESSAGE, Prefer="respond-async, wait=600")
    assert (done.status, done.json["status"]) == (200, "succeeded")
    # Capped by the setting.
    assert done.headers["Preference-Applied"] == "respond-async, wait=30"
    assert "Retry-After" not in done.headers
    asked = worked.call("GET", f"/{done.json['id']}", Prefer='foo="a,b"; x, Wait=20, wait=1')
    assert asked.json == done.json
    assert asked.headers["Preference-Applied"] == "wait=20"
    # A call that may be repeated keeps the end, once it has it.
    keyed = [worked.call("POST", body=MESSAGE, Prefer="wait=30", Idempotency_Key="k") for _ in "12"]
    assert [(a.status, a.json["status"]) for a in keyed] == [(200, "succeeded")] * 2
    assert keyed[0].body == keyed[1].body
    at_once = worked.call("POST", body=MESSAGE, Prefer="respond-async, wait=soon")
    assert (at_once.status, at_once.headers["Preference-Applied"]) == (202, "respond-async")


def test_a_wait_may_be_in_vain(web: Web) -> None:
    answer = web.call("POST", body=LATER, Prefer="wait=1")
    assert (answer.status, answer.json["status"]) == (202, "pending")
    assert {"Location", "Retry-After"} <= answer.headers.keys()
    assert answer.headers["Preference-Applied"] == "wait=1"


def test_all_who_wait_are_answered_when_it_ends(web: Web) -> None:
    one = web.call("POST", body=LATER).json["id"]
    web.call("GET", f"/{one}", Prefer="wait=1")
    process = psutil.Process(web.pid)
    before = process.memory_info().rss
    with ThreadPoolExecutor(200) as pool:
        waiting = [pool.submit(web.call, "GET", f"/{one}", Prefer="wait=30") for _ in range(200)]
        # They are seen in the process by what they hold: a socket each, and not much more.
        eventually(lambda: _sockets(process) >= 200, what="all calls are open")
        assert process.memory_info().rss - before < 60e6
        ended = web.call("POST", f"/{one}/cancel").json
        answers: list[Answer] = [answer.result(timeout=30) for answer in waiting]
    assert {(answer.status, answer.json["status"]) for answer in answers} == {(200, "canceled")}
    assert all(answer.json == ended for answer in answers)


def _sockets(process: psutil.Process) -> int:
    return sum(c.status == psutil.CONN_ESTABLISHED for c in process.net_connections("tcp"))


def test_posts_on_two_processes_with_one_key_make_one_row(stack: Stack) -> None:
    stack.gateway()
    web = Web(stack, "--workers=2")

    def post(_number: int) -> list[Answer]:
        return [web.call("POST", body=MESSAGE, Idempotency_Key="k") for _ in range(5)]

    with ThreadPoolExecutor(10) as pool:
        answers = [answer for answers in pool.map(post, range(10)) for answer in answers]
    assert len(web.program.children()) == 2
    assert stack.statuses() == {"queued": 1}
    assert {answer.status for answer in answers} <= {202, 409}
    assert sum("Idempotent-Replayed" not in a.headers for a in answers if a.status == 202) == 1
    assert len({answer.body for answer in answers if answer.status == 202}) == 1


def heard(stream: Iterator[dict[str, Any]], count: int) -> list[tuple[str, str]]:
    return [(e["data"]["id"], e["data"]["status"]) for e in itertools.islice(stream, count)]


def test_a_stream_tells_all_and_goes_on_where_it_was(worked: Web) -> None:
    with worked.open("GET", "/events") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        stream = events(response)
        one = worked.call("POST", body=MESSAGE).json["id"]
        told = list(itertools.islice(stream, 3))
        assert sorted(e["data"]["status"] for e in told) == ["queued", "running", "succeeded"]
        assert {e["event"] for e in told} == {"status"}
        last = max(told, key=lambda e: e["data"]["at"])["data"]
        assert last == {
            "id": one,
            "status": "succeeded",
            "done": True,
            "counts": {"total": 1, "accepted": 1, "failed": 0, "dropped": 0, "unknown": 0},
            "error_code": "",
            "at": last["at"],
        }
        assert abs(datetime.now(UTC) - datetime.fromisoformat(last["at"])).total_seconds() < 60
    two = worked.call("POST", body=MESSAGE, Prefer="wait=30").json["id"]
    with worked.open("GET", "/events", Last_Event_ID=told[0]["id"]) as response:
        # What was missed, however long nobody listened.
        assert heard(events(response), 2) == [(one, e["data"]["status"]) for e in told[1:]]
        assert {pk for pk, _ in heard(events(response), 3)} == {two}
    with worked.open("GET", "/events", Last_Event_ID="1-0") as response:
        assert next(events(response))["event"] == "gap"
    assert worked.call("GET", "/events", Last_Event_ID="x").status == 400


def test_the_stream_of_one_ends_with_it(worked: Web, stack: Stack) -> None:
    one = worked.call("POST", body=LATER).json["id"]
    with worked.open("GET", f"/{one}/events") as response:
        stream = events(response)
        assert heard(stream, 1) == [(one, "pending")]
        worked.call("POST", body=MESSAGE)  # is none of its business
        worked.call("POST", f"/{one}/cancel")
        # That it waits may be told twice: as it stands, and as it was.
        *before, last = stream
    assert {(e["data"]["id"], e["data"]["status"]) for e in before} <= {(one, "pending")}
    assert (last["data"]["id"], last["data"]["status"]) == (one, "canceled")
    assert worked.call("GET", f"/{one}/events", Last_Event_ID=last["id"]).status == 204
    with worked.open("GET", f"/{one}/events") as response:
        assert heard(events(response), 5) == [(one, "canceled")]
    rival = Web(stack, name="rival")
    assert rival.call("GET", f"/{one}/events").status == 404
    assert rival.call("GET", f"/{one}", Prefer="wait=30").status == 404


def test_listeners_survive_a_redis_that_forgets(web: Web, stack: Stack) -> None:
    one = web.call("POST", body=LATER).json["id"]
    with web.open("GET", "/events") as response:
        stack.redis.flushdb()
        # The stream ends, so that the client looks for itself and comes back. That the request
        # waits may have been told so late that it is heard.
        told = [(e["data"]["id"], e["data"]["status"]) for e in events(response)]
        assert told in ([], [(one, "pending")])
    with web.open("GET", "/events") as response:
        web.call("POST", f"/{one}/cancel")
        assert heard(events(response), 1) == [(one, "canceled")]


def test_there_is_an_end_of_listeners(stack: Stack) -> None:
    stack.gateway()
    web = Web(stack, TEST_MAX_LISTENERS="1")
    for _ in range(3):
        assert web.call("HEAD", "/events").status == 200  # and holds no place
    with web.open("GET", "/events"):
        refused = web.call("GET", "/events")
        assert refused.status == 503
        assert refused.json["type"].endswith("#temporary-reduced-capacity")
        assert web.call("POST", body=MESSAGE, Prefer="wait=30").status == 202
    eventually(lambda: web.call("POST", body=LATER, Prefer="wait=1").status == 202)
