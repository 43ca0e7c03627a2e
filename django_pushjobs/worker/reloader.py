"""``--reload``: for development, loads new code as soon as it is saved."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from django.utils.autoreload import iter_all_python_module_files


def run(stop: threading.Event) -> None:
    """Ask the arbiter to reload whenever the file of a loaded module has changed.

    A service of the first child; the child that replaces that one starts it afresh.

    :param stop: set when it must return.
    """
    before = _snapshot()
    while not stop.wait(1.0):
        now = _snapshot()
        if any(now.get(file, 0.0) != changed_at for file, changed_at in before.items()):
            os.kill(os.getppid(), signal.SIGHUP)
            before = now


def _snapshot() -> dict[Path, float]:
    changed: dict[Path, float] = {}
    for file in iter_all_python_module_files():
        try:
            changed[file] = file.stat().st_mtime
        except OSError:
            continue
    return changed
