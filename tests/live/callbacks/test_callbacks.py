"""Callbacks of real pushes, received and verified by a process of the third party."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from typing import Any

import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually

REGISTER = """
from django_pushjobs.callbacks import endpoints
from django_pushjobs.models import ApiClient
client = ApiClient.objects.create(name={name!r})
print(endpoints.register(client, {url!r})[1])
"""
SUBMIT = """
from django_pushjobs.models import ApiClient
from django_pushjobs.services import submit_many
from django_pushjobs.submission.submissions import Submission
submit_many(
    [Submission(recipients=[f"token-{{i}}"], title="Hello", reference=f"order-{{i}}")
     for i in range({count})],
    client=ApiClient.objects.get(name={name!r}),
)
"""


@pytest.fixture
def receiver(stack: Stack) -> str:
    stack.environment["DJANGO_SETTINGS_MODULE"] = "tests.live.settings_callbacks"
    (url,) = stack.python("-m", "tests.support.receiver").says(r"^(http\S+)$")
    return url


SILENT = """
from django_pushjobs.callbacks import endpoints
from django_pushjobs.models import ApiClient
client = ApiClient.objects.create(name="Silent")
public = lambda host, port, **options: [(2, 1, 6, "", ("93.184.215.14", port))]
for number in range(endpoints.MAX_ENDPOINTS):
    url = f"https://silent.host-{number}.example/"
    endpoint, _ = endpoints.register(client, url, lookup=public)
    endpoints.send_test(endpoint)
"""


def received(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/events", timeout=10) as response:
        return json.load(response)


def test_every_push_is_told_of_and_verified_whoever_is_slow_beside_it(
    stack: Stack, receiver: str
) -> None:
    stack.gateway(latency_ms=20)
    secret = stack.run(REGISTER.format(name="Shop", url=f"{receiver}/pushes"))
    urllib.request.urlopen(f"{receiver}/secret", data=secret.encode(), timeout=10).close()
    stack.run(REGISTER.format(name="Slow", url=f"{receiver}/slow"))
    stack.run(SUBMIT.format(name="Slow", count=100))
    worker = stack.worker("pushjobs", "callbacks", "--processes", "2")
    stack.run(SUBMIT.format(name="Shop", count=300))
    stack.all_end_as("succeeded", 400)
    eventually(
        lambda: len(received(receiver)["events"]) >= 300,
        what=f"300 callbacks; now {len(received(receiver)['events'])}\n{worker.output}",
    )
    told = received(receiver)
    assert told["refused"] == 0
    bodies = [body for _, body in told["events"]]
    assert {body["type"] for body in bodies} == {"push.request.completed"}
    assert {body["data"]["status"] for body in bodies} == {"succeeded"}
    references = Counter(body["data"]["reference"] for body in bodies)
    assert references == {f"order-{i}": 1 for i in range(300)}
    assert "Traceback" not in worker.output


def test_hosts_whose_name_servers_are_silent_hold_up_nobody_else(
    stack: Stack, receiver: str
) -> None:
    silent = stack.folder / "silent"
    stack.environment |= {
        "DJANGO_SETTINGS_MODULE": "tests.live.settings_silent",
        "TEST_SILENT": str(silent),
    }
    stack.gateway(latency_ms=1)
    named = receiver.replace("127.0.0.1", "localhost")
    secret = stack.run(REGISTER.format(name="Shop", url=f"{named}/pushes"))
    urllib.request.urlopen(f"{receiver}/secret", data=secret.encode(), timeout=10).close()
    stack.run(SILENT)
    silent.touch()
    worker = stack.worker("pushjobs", "callbacks", "--processes", "1")
    attempts = "SELECT error_code, COUNT(*) FROM django_pushjobs_callbackattempt GROUP BY 1"
    eventually(lambda: stack.query(attempts).get("unresolvable", 0) >= 8, what=worker.output)
    stack.run(SUBMIT.format(name="Shop", count=20))
    # None of them has been answered by then.
    eventually(lambda: len(received(receiver)["events"]) >= 20)
    silent.unlink()
    assert "Traceback" not in worker.output
