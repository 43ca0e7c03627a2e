"""The API keeps what its OpenAPI document promises, to tools that know nothing else of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import ROOT, Stack

SCHEMATHESIS = """
hooks = "tests.support.schemathesis_hooks"
[generation]
# It is refused everywhere, which a schema can say of no JSON inside of `data`.
allow-x00 = false
"""


def tool(name: str, *arguments: str, folder: Path) -> str:
    """Run a program of this environment and return what it prints."""
    programs = Path(sys.executable).parent
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [str(programs / name), *arguments],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.timeout(330)
def test_schemathesis_finds_nothing(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(SCHEMATHESIS)
    # Callbacks to this machine can be registered; nobody sends any.
    url = stack.web(DJANGO_SETTINGS_MODULE="tests.live.settings_callbacks")
    document = f"{url}/api/v1/openapi.json"
    credentials = f"Authorization: Bearer {stack.key()}"
    # The same examples in every run: a failure is one that somebody brought in.
    options = ["--checks=all", "--max-examples=5", "--seed=1", "--warnings=off"]
    # A stream never ends.
    options += ["--exclude-path-regex", "^/push-requests/(.+/)?events$"]
    output = tool("st", "run", document, "-H", credentials, *options, folder=tmp_path)
    assert "No issues found" in output


ROUND_TRIP = """
import sys, time
from pushjobs_client import AuthenticatedClient
from pushjobs_client.api.push_requests import (
    cancel_push_request, get_push_request, list_deliveries, list_push_requests, submit_batch,
    submit_push_request,
)
from pushjobs_client.models import NewBatch, NewBatchItem, NewPushRequest, Problem

url, key = sys.argv[1:]
with AuthenticatedClient(base_url=f"{url}/api/v1", token=key) as client:
    new = NewPushRequest(recipients=["token-1", "token-2"], title="Hello", reference="r-1")
    one = submit_push_request.sync(client=client, body=new, idempotency_key='"r-1"')
    deadline = time.monotonic() + 30
    while not one.done and time.monotonic() < deadline:
        time.sleep(0.05)
        one = get_push_request.sync(one.id, client=client)
    assert (one.status, one.counts.accepted) == ("succeeded", 2), one
    page = list_deliveries.sync(one.id, client=client)
    assert {receipt.status for receipt in page.results} == {"accepted"}
    page = list_push_requests.sync(client=client, reference="r-1")
    assert [item.id for item in page.results] == [one.id]
    items = [NewBatchItem(recipients=["token-1"]), NewBatchItem(recipients=[])]
    batch = submit_batch.sync(client=client, body=NewBatch(items=items))
    assert [ticket.status for ticket in batch.items] == [202, 400]
    problem = cancel_push_request.sync(one.id, client=client)
    assert isinstance(problem, Problem) and problem.status == 409, problem
print("done")
"""


def test_a_generated_client_makes_a_round_trip(stack: Stack, tmp_path: Path) -> None:
    stack.gateway()
    url = stack.web()
    stack.worker("--processes", "1")
    tool(
        *["openapi-python-client", "generate", "--url", f"{url}/api/v1/openapi.json"],
        *["--meta", "none", "--output-path", "pushjobs_client", "--fail-on-warning"],
        folder=tmp_path,
    )
    assert "done" in tool(
        "python", "-W", "error", "-c", ROUND_TRIP, url, stack.key(), folder=tmp_path
    )
