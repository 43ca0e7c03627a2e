"""What operators rely on: reload, limits, stacks, systemd, containers, the log."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest
from rq import Queue
from rq.job import Job, JobStatus

from tests.support import jobs
from tests.support.stack import Program, Stack
from tests.support.waiting import eventually


@pytest.fixture
def queue(stack: Stack) -> Queue:
    return Queue("default", connection=stack.redis)


def finished(job: Job) -> object:
    eventually(lambda: job.get_status() == JobStatus.FINISHED, what=f"{job} is finished")
    return job.return_value()


class TestReload:
    """HUP: new code, under the same process id, without an interruption."""

    @pytest.fixture
    def code(self, stack: Stack) -> Path:
        """A module that the worker's settings import."""
        (stack.folder / "site_settings.py").write_text(
            "from tests.live.settings import *\nimport site_code\n"
        )
        file = stack.folder / "site_code.py"
        file.write_text("def version(): return 1\n")
        stack.environment["DJANGO_SETTINGS_MODULE"] = "site_settings"
        stack.environment["PYTHONPATH"] += f":{stack.folder}"
        return file

    def test_new_children_run_new_code_and_old_ones_drain(
        self, stack: Stack, queue: Queue, code: Path
    ) -> None:
        worker = stack.worker("default", "--processes=2")
        assert finished(queue.enqueue("site_code.version")) == 1
        old = worker.children()
        gate = stack.folder / "gate"
        drained = queue.enqueue(jobs.sleep_until, str(gate))
        eventually(lambda: drained.get_status() == JobStatus.STARTED)
        _rewrite(code, "def version(): return 'two'\n")
        worker.signal(signal.SIGHUP)
        worker.says("is ready", times=4)
        worker.says("has been replaced; draining it", times=2)
        worker.says("warm stop: waiting for", times=2)
        # Old and new run together; the job of the old one goes on. What Redis gave to an old one
        # at the moment of its stop is still its own.
        eventually(lambda: finished(queue.enqueue("site_code.version")) == "two")
        assert drained.get_status() == JobStatus.STARTED
        gate.touch()
        eventually(lambda: not set(old) & set(worker.children()), what="the old ones are gone")
        assert drained.get_status(refresh=True) == JobStatus.FINISHED
        assert len(worker.children()) == 2
        assert worker.popen.poll() is None
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0, worker.output

    def test_code_that_does_not_start_is_not_taken(
        self, stack: Stack, queue: Queue, code: Path
    ) -> None:
        worker = stack.worker("default", "--processes=1")
        children = worker.children()
        _rewrite(code, "this is no Python\n")
        worker.signal(signal.SIGHUP)
        worker.says("the new code does not start, keeping the old code")
        assert worker.children() == children
        assert finished(queue.enqueue(jobs.add, 1, 1)) == 2

    def test_for_development_it_reloads_by_itself(
        self, stack: Stack, queue: Queue, code: Path
    ) -> None:
        stack.worker("default", "--processes=1", "--reload")
        assert finished(queue.enqueue("site_code.version")) == 1
        _rewrite(code, "def version(): return 'saved'\n")
        eventually(lambda: finished(queue.enqueue("site_code.version")) == "saved")


def _rewrite(file: Path, text: str) -> None:
    file.write_text(text)
    # Python and the reloader recognize a change by its time, in whole seconds.
    later = time.time() + 10
    os.utime(file, (later, later))


def test_a_process_that_grew_too_large_is_replaced(stack: Stack, queue: Queue) -> None:
    worker = stack.worker("default", "--processes=1", "--max-memory=300")
    job = queue.enqueue(jobs.hoard, 400)
    worker.says("using more than 300 MiB, quitting")
    worker.says("is ready", times=2)
    assert finished(job) == 400
    assert "died" not in worker.output


def test_usr1_shows_what_every_greenlet_is_doing(stack: Stack, queue: Queue) -> None:
    worker = stack.worker("default", "--processes=1")
    gate = stack.folder / "gate"
    job = queue.enqueue(jobs.sleep_until, str(gate))
    # It is registered as started before its function is called.
    eventually(gate.with_suffix(".awaited").exists)
    worker.signal(signal.SIGUSR1)
    worker.says("stacks of all greenlets and threads")
    worker.says("in sleep_until")
    gate.touch()
    assert finished(job) is None


def test_a_slow_computation_is_named_while_the_worker_lives(stack: Stack, queue: Queue) -> None:
    worker = stack.worker("default", "--processes=1")
    job = queue.enqueue(jobs.compute, 3.5)
    worker.says(rf"the hub has been blocked for .* s by job {job.id}")
    assert finished(job) is None
    assert "has not responded" not in worker.output


def test_systemd_is_notified(stack: Stack) -> None:
    path = stack.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(30)
        worker = stack.worker("--processes=1", NOTIFY_SOCKET=str(path))
        heard = [systemd.recv(1_000).decode() for _ in range(3)]
        assert any(message.startswith("READY=1\nSTATUS=") for message in heard)
        assert "WATCHDOG=1" in heard
        worker.signal(signal.SIGTERM)
        while systemd.recv(1_000) != b"STOPPING=1":
            pass
        assert worker.wait() == 0


def test_as_process_1_it_reaps_and_obeys(stack: Stack, queue: Queue) -> None:
    log = stack.folder / "container.log"
    with log.open("wb") as output:
        popen = psutil.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--",
             sys.executable, "manage.py", "rqgeventworker", "default", "--processes=1"],
            env=stack.environment, stdout=output, stderr=output,
            cwd=Path(__file__).resolve().parents[3], start_new_session=True,
        )  # fmt: skip
    container = Program.adopt(popen, log)
    stack.programs.append(container)
    container.says("is ready")
    # A job leaves an orphan behind; it becomes a child of process 1, which has to reap it.
    assert finished(queue.enqueue(jobs.leave_an_orphan)) is not None
    (arbiter,) = psutil.Process(container.pid).children()
    eventually(lambda: not [p for p in arbiter.children() if p.status() == psutil.STATUS_ZOMBIE])
    arbiter.terminate()
    assert container.wait() == 0, container.output


def test_the_log_can_be_json(stack: Stack) -> None:
    worker = stack.worker("--processes=1", "--log-format=json")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    entries = [json.loads(line) for line in worker.output.splitlines()]
    assert {"level", "logger", "process", "message", "timestamp"} <= set(entries[0])
    assert entries[-1]["message"].endswith("stopped, exit code 0")


def test_pushjobs_workers_shows_what_runs_where(stack: Stack, queue: Queue) -> None:
    nobody = stack.manage("pushjobs_workers")
    assert nobody.wait() == 0
    assert nobody.output == "No rqgeventworker process is running.\n"
    worker = stack.worker("default", "pushjobs", "--name=shown", "--processes=2")
    job = queue.enqueue(jobs.sleep, 600)
    eventually(lambda: job.get_status() == JobStatus.STARTED)

    def busy() -> list[dict[str, object]]:
        shown = stack.manage("pushjobs_workers", "--json")
        assert shown.wait() == 0, shown.output
        found: list[dict[str, object]] = json.loads(shown.output)
        return found if sum(int(str(w["busy"])) for w in found) == 1 else []

    found = eventually(busy)
    assert {w["pid"] for w in found} == set(worker.children())
    assert {w["concurrency"] for w in found} == {100}
    assert all(int(str(w["rss"])) > 10_000_000 for w in found)
    table = stack.manage("pushjobs_workers")
    assert table.wait() == 0
    header, *rows = table.output.splitlines()
    assert header.split()[:5] == ["NAME", "HOST", "PID", "STATE", "JOBS"]
    assert len(rows) == 2
    assert sorted(row.split()[4] for row in rows) == ["0/100", "1/100"]
