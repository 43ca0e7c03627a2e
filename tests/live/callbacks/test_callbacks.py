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
