"""The parts of the worker that need no process of their own."""

from __future__ import annotations

import os

import pytest

from django_pushjobs.worker.supervisor.heartbeat import MAX_ID, Heart
from django_pushjobs.worker.supervisor.launcher import command_line, is_patched
from django_pushjobs.worker.supervisor.options import OptionError, WorkerOptions


@pytest.mark.parametrize(
    ("orig_argv", "argv", "expected"),
    [
        (
            ["python", "manage.py", "rqgeventworker", "-v2"],
            ["manage.py", "rqgeventworker", "-v2"],
            ["-m", "gevent.monkey", "manage.py", "rqgeventworker", "-v2"],
        ),
        (
            ["python", "-W", "error", "-X", "dev", "manage.py", "rqgeventworker"],
            ["manage.py", "rqgeventworker"],
            ["-W", "error", "-X", "dev", "-m", "gevent.monkey", "manage.py", "rqgeventworker"],
        ),
        (
            ["python", "-m", "django", "rqgeventworker", "high"],
            ["/lib/django/__main__.py", "rqgeventworker", "high"],
            ["-m", "gevent.monkey", "--module", "django", "rqgeventworker", "high"],
        ),
        (
            ["python", "/bin/django-admin", "rqgeventworker"],
            ["/bin/django-admin", "rqgeventworker"],
            ["-m", "gevent.monkey", "/bin/django-admin", "rqgeventworker"],
        ),
    ],
)
def test_the_same_program_is_started_with_gevent_first(
    orig_argv: list[str], argv: list[str], expected: list[str]
) -> None:
    assert command_line(orig_argv, argv) == expected


def test_this_process_is_not_patched() -> None:
    assert not is_patched()


def test_a_worker_says_at_once_that_it_needs_gevent() -> None:
    from django_pushjobs.worker.gevent_worker import GeventWorker

    with pytest.raises(RuntimeError, match="needs gevent to patch first"):
        GeventWorker(["default"])


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("processes", 0, "--processes must be at least 1, not 0"),
        ("concurrency", 100_000, "--concurrency must be at most 10000, not 100000"),
        ("max_jobs", 0, "--max-jobs must be at least 1, not 0"),
        ("graceful_timeout", -1, "--graceful-timeout must be at least 0, not -1"),
        ("name", "", "--name may contain only letters"),
    ],
)
def test_an_impossible_option_is_named(option: str, value: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        WorkerOptions(queues=("pushjobs",), **{option: value})  # type: ignore[arg-type]


def test_the_heart_names_the_job_that_stopped_it_until_it_beats_again() -> None:
    heart = Heart()
    heart.beat()
    assert heart.culprit(30) == ""
    heart.accuse("jöb", heart.last_beat + 2)
    assert heart.culprit(30) == "jöb"
    heart.accuse("", heart.last_beat + 4)  # another one was seen, too
    assert heart.culprit(30) == ""
    heart.accuse("late", heart.last_beat + 20)
    assert heart.culprit(30) == ""
    heart.accuse("x" * (MAX_ID + 1), heart.last_beat)
    assert heart.culprit(30) == ""
    heart.accuse("innocent", heart.last_beat)
    heart.beat()
    assert heart.culprit(30) == ""
    heart.close()


def test_both_sides_of_a_fork_see_the_heart() -> None:
    heart = Heart()
    assert not heart.ready
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        heart.beat()
        os.write(write, b"x")
        os._exit(0)
    os.read(read, 1)
    os.waitpid(pid, 0)
    os.close(read)
    os.close(write)
    assert heart.ready
    assert heart.silence >= 0
    heart.close()
