"""rqgeventworker as a real process: it runs, is killed, drains, and reports what is wrong."""

from __future__ import annotations

import os
import re
import signal
import socket

import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually


def test_one_process_holds_a_hundred_pushes_in_flight(stack: Stack) -> None:
    stack.gateway(latency_ms=200)
    stack.submit(600)
    worker = stack.manage("rqgeventworker", "--burst", "--processes", "1", "--concurrency", "100")
    assert worker.wait(60) == 0, worker.output
    assert stack.statuses() == {"succeeded": 600}
    stats = stack.gateway_stats()
    assert stats["max_in_flight"] == 100
    assert stats["distinct_ids"] == stats["received"] == 600


def test_a_killed_child_is_replaced_and_every_request_still_ends(stack: Stack) -> None:
    stack.gateway(latency_ms=200)
    worker = stack.worker("--processes", "2", "--concurrency", "20", TEST_LEASE="1.5")
    stack.submit(300)
    eventually(lambda: stack.gateway_stats()["in_flight"] >= 20, what="pushes are in flight")
    victim = worker.children()[0]
    os.kill(victim, signal.SIGKILL)
    worker.says(f"process {victim} died: signal SIGKILL")
    worker.says("is ready", times=3)
    stack.all_end_as("succeeded", 300)
    assert len(worker.children()) == 2
    # Only what was in flight is pushed a second time, under the same id.
    ids = stack.gateway_ids()
    assert len(ids) == 300
    assert sum(count > 1 for count in ids.values()) <= 20


def test_term_drains_and_loses_nothing(stack: Stack) -> None:
    stack.gateway(latency_ms=300)
    worker = stack.worker("--processes", "1", "--concurrency", "10")
    stack.submit(50)
    eventually(lambda: stack.gateway_stats()["in_flight"] == 10, what="pushes are in flight")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0, worker.output
    after = stack.statuses()
    assert set(after) == {"succeeded", "queued"}, after
    assert after["succeeded"] == stack.gateway_stats()["received"]
    # The rest is still on the queue, and the next worker does it.
    assert stack.manage("rqgeventworker", "--burst").wait() == 0
    assert stack.statuses() == {"succeeded": 50}
    assert stack.gateway_stats()["duplicates"] == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(stack: Stack, signum: int) -> None:
    stack.gateway(latency_ms=60_000)
    worker = stack.worker("--processes", "2", "--graceful-timeout", "600")
    stack.submit(20)
    eventually(lambda: stack.gateway_stats()["in_flight"] == 20, what="pushes are in flight")
    worker.signal(signum)
    worker.says("warm stop: waiting for")
    worker.signal(signum)
    assert worker.wait(20) == 0, worker.output
    assert re.search(r"cold stop: terminating \d+ jobs", worker.output)
    assert stack.statuses() == {"running": 20}


def test_a_stop_that_takes_too_long_turns_cold(stack: Stack) -> None:
    stack.gateway(latency_ms=60_000)
    worker = stack.worker("--processes", "1", "--graceful-timeout", "0.5")
    stack.submit(5)
    eventually(lambda: stack.gateway_stats()["in_flight"] == 5, what="pushes are in flight")
    worker.signal(signal.SIGTERM)
    assert worker.wait(20) == 0, worker.output
    assert "still busy" in worker.output


def test_resizes_while_it_runs(stack: Stack) -> None:
    worker = stack.worker("--processes", "1")
    worker.signal(signal.SIGTTIN)
    worker.says("is ready", times=2)
    assert len(worker.children()) == 2
    worker.signal(signal.SIGTTOU)
    eventually(lambda: len(worker.children()) == 1, what="one process is left")
    worker.signal(signal.SIGTTOU)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0, worker.output


def test_children_leave_when_the_arbiter_is_gone(stack: Stack) -> None:
    worker = stack.worker("--processes", "2")
    children = worker.children()
    worker.signal(signal.SIGKILL)
    worker.popen.wait()
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children))
    assert worker.output.count("the arbiter is gone") == 2


def test_a_child_that_is_stopped_is_replaced(stack: Stack) -> None:
    worker = stack.worker("--processes", "1", "--hang-timeout", "2")
    (victim,) = worker.children()
    os.kill(victim, signal.SIGSTOP)
    worker.says(f"process {victim} has not responded")
    worker.says("is ready", times=2)
    assert victim not in worker.children()


def test_a_recycled_child_is_replaced(stack: Stack) -> None:
    stack.gateway()
    worker = stack.worker("--processes", "1", "--max-jobs", "5")
    stack.submit(12)
    stack.all_end_as("succeeded", 12)
    worker.says("took 5 jobs", times=2)


def test_gives_up_when_children_cannot_boot(stack: Stack) -> None:
    worker = stack.manage("rqgeventworker", "--job-class", "no.such.JobClass")
    assert worker.wait(60) == 3
    assert "processes cannot boot, giving up" in worker.output


def test_writes_its_process_id_and_removes_it(stack: Stack) -> None:
    file = stack.folder / "worker.pid"
    worker = stack.worker("--pid", str(file))
    assert int(file.read_text()) == worker.pid
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "queue 'nowhere' is not in RQ_QUEUES (known: pushjobs, default)"),
        (["--concurrency", "0"], "--concurrency must be at least 1, not 0"),
        (["--concurrency", "many"], "argument --concurrency: invalid int value: 'many'"),
        (["--processes", "-1"], "--processes must be at least 1, not -1"),
        (["--hang-timeout", "0"], "--hang-timeout must be at least 1, not 0.0"),
        (["--name", "a b"], "--name may contain only letters, digits, '.', '_' and '-'"),
        (["--pid", "/nowhere/worker.pid"], "--pid /nowhere/worker.pid: No such file or directory"),
    ],
)
def test_a_wrong_option_is_one_line_and_an_exit_code(
    stack: Stack, arguments: list[str], message: str
) -> None:
    worker = stack.manage("rqgeventworker", *arguments)
    assert worker.wait() not in (0, None)
    assert worker.output.strip().splitlines()[-1].endswith(message)
    assert "Traceback" not in worker.output


def test_reports_that_redis_cannot_be_reached(stack: Stack) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        worker = stack.manage("rqgeventworker", REDIS_URL=url)
        assert worker.wait() == 1
    assert worker.output.startswith("CommandError: cannot reach Redis: ")
    assert worker.output.count("\n") == 1


def test_a_name_is_taken_once(stack: Stack) -> None:
    stack.worker("--name", "push-1", "--processes", "1")
    second = stack.manage("rqgeventworker", "--name", "push-1")
    assert second.wait() == 1
    assert "CommandError: --name push-1 is taken: push-1.0." in second.output
