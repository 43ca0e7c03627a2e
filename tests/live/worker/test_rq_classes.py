"""Custom classes, serializers, handlers and webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from rq import Callback, Queue, Webhook
from rq.job import JobStatus

from tests.support import citizens, jobs
from tests.support.bursts import burst, notes, queue_of
from tests.support.stack import Stack

HANDLERS = {"DJANGO_SETTINGS_MODULE": "tests.live.settings_queues"}


@pytest.fixture
def received() -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """A URL, and what was sent there: method, path and body."""
    requests: list[tuple[str, str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.append((self.command, self.path, json.loads(body) if body else None))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhooks_handlers_and_a_serializer(
    stack: Stack, received: tuple[str, list[tuple[str, str, Any]]]
) -> None:
    url, requests = received
    queue = queue_of(stack)
    good, bad = (
        queue.enqueue(
            function,
            webhooks=[
                Webhook(f"{url}/finished", "finished"),
                Webhook(f"{url}/failed", "failed", method="POST"),
                Webhook("http://127.0.0.1:9/nobody", "finished", timeout=1),
            ],
        )
        for function in (jobs.nothing, jobs.fail)
    )
    stops = queue.enqueue(jobs.fail, meta={"handler": "stops"})
    fails = queue.enqueue(jobs.fail, meta={"handler": "fails"})
    other = Queue("reversed", connection=stack.redis, serializer=citizens.ReversedSerializer)
    foreign = other.enqueue(jobs.add, 1, b=2)
    burst(stack, "default", "reversed", **HANDLERS)
    assert good.get_status() == JobStatus.FINISHED
    assert sorted(request[:2] for request in requests) == [
        ("GET", "/finished"), ("POST", "/failed"),
    ]  # fmt: skip
    (body,) = (body for _, _, body in requests if body)
    assert body["job_id"] == bad.id
    assert "ValueError: this job fails" in body["exc_info"]
    assert {job.get_status() for job in (bad, stops, fails)} == {JobStatus.FAILED}
    found = notes(stack)
    assert [f"first handler: {job.id}" in found for job in (bad, stops, fails)] == [True] * 3
    assert [f"second handler: {job.id}" in found for job in (bad, stops, fails)] == [
        True, False, False,
    ]  # fmt: skip
    # A handler that raises would have killed RQ's horse.
    result = fails.latest_result()
    assert result is not None
    assert "Work-horse terminated unexpectedly; RuntimeError('a handler fails')" in str(
        result.exc_string
    )
    assert foreign.return_value() == 3


def test_job_and_queue_classes(stack: Stack) -> None:
    queue = citizens.LoudQueue("default", connection=stack.redis, job_class=citizens.LoudJob)
    job = queue.enqueue(jobs.add, 1, 2)
    bad = queue.enqueue(jobs.fail, on_failure=Callback(citizens.on_failure))
    burst(
        stack,
        "--job-class=tests.support.citizens.LoudJob",
        "--queue-class=tests.support.citizens.LoudQueue",
    )
    assert job.return_value() == 3
    assert job.get_meta() == {"performed_by": "LoudJob", "created": True}
    assert notes(stack) == [f"failure of {bad.id}: ValueError", f"dependents of {bad.id}"]


def test_a_queue_that_hands_out_jobs_its_own_way_is_refused(stack: Stack) -> None:
    worker = stack.manage(
        "rqgeventworker", "default", "--processes=1", "--no-relay",
        "--queue-class=tests.support.citizens.LifoQueue",
    )  # fmt: skip
    assert worker.wait() != 0
    assert "would never call LifoQueue.lpop(): use RQ's own worker" in worker.output
