"""The arbiter on its own, with children that do nothing: no Django, no gevent, no Redis."""

from __future__ import annotations

import subprocess
import sys

import pytest

from django_pushjobs.worker.supervisor.exitcodes import ExitCode

PROGRAM = """
import signal, sys
from django_pushjobs.worker.supervisor.arbiter import Arbiter
from django_pushjobs.worker.supervisor.exitcodes import ExitCode
from django_pushjobs.worker.supervisor.options import WorkerOptions

signal.signal(signal.SIGCHLD, getattr(signal, sys.argv[1]))
options = WorkerOptions(queues=("pushjobs",), processes=2, name="tests")
sys.exit(Arbiter(options, lambda seat: ExitCode[sys.argv[2]]).run())
"""


@pytest.mark.parametrize("inherited", ["SIG_DFL", "SIG_IGN"])
@pytest.mark.parametrize(
    ("child", "arbiter"),
    [(ExitCode.OK, ExitCode.OK), (ExitCode.BOOT_FAILED, ExitCode.CANNOT_BOOT)],
    ids=["that have nothing to do", "that cannot boot"],
)
def test_ends_with_its_children(inherited: str, child: ExitCode, arbiter: ExitCode) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, inherited, child.name], timeout=30, check=False
    )
    assert done.returncode == arbiter
