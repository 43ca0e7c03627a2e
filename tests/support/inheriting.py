"""Starts a program as a parent does that ignores or blocks signals.

Run with ``python tests/support/inheriting.py HOW SIGNALS ARGUMENTS``, where HOW is ``ignoring`` or
``blocking``, SIGNALS are names such as ``INT,QUIT``, and ARGUMENTS are those of Python. A program
inherits both: a shell without job control ignores INT and QUIT in what it starts in the background,
``nohup`` ignores HUP, and some supervisors forget to unblock what they have blocked.
"""

from __future__ import annotations

import os
import signal
import sys

how, names, *arguments = sys.argv[1:]
signals = {signal.Signals[f"SIG{name}"] for name in names.split(",")}
if how == "blocking":
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
else:
    for signum in signals:
        signal.signal(signum, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, *arguments])
