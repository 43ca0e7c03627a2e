"""A gateway that goes away and comes back: nothing fails, and one pause covers it."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.support.stack import Stack
from tests.support.waiting import eventually


def test_everything_waits_until_the_gateway_is_back(stack: Stack) -> None:
    stack.gateway()
    port = urlsplit(stack.gateway_url).port
    worker = stack.worker("--processes", "2", "--concurrency", "20")
    stack.submit(20)
    stack.all_end_as("succeeded", 20)
    stack.programs[0].end()
    stack.submit(60)
    worker.says("is paused: ")
    stack.submit(60)
    # While it stands, one of them after the other asks.
    attempts = "SELECT 'made', SUM(attempts) FROM django_pushjobs_pushrequest"
    made = stack.query(attempts)["made"]
    eventually(lambda: stack.query(attempts)["made"] >= made + 5, what="there were probes")
    assert set(stack.statuses()) <= {"succeeded", "pending", "queued", "running"}
    stack.gateway(port=str(port))
    worker.says("no longer paused")
    stack.all_end_as("succeeded", 140)
    assert len(stack.gateway_ids()) == 120
    assert worker.output.count("is paused: ") == 1
    assert worker.output.count("no longer paused") == 1
    assert stack.query("SELECT 'left', COUNT(*) FROM django_pushjobs_pause") == {"left": 0}
    # Of those who came while it stood none was tried, except for the probes.
    tried = "SELECT attempts - uncounted_attempts, COUNT(*) FROM django_pushjobs_pushrequest "
    assert stack.query(f"{tried} GROUP BY 1")[1] >= 20 + 60
