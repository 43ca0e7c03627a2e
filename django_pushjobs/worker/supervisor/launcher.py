"""Starts this program again in its own place: with gevent patched first, or with new code.

gevent has to patch before anything else is loaded. By the time a management command runs, Django
and half of the standard library are, so it is too late to patch. The command therefore starts its
own process again, once, with ``python -m gevent.monkey`` in front.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

#: Environment variable: set in the process that was started again, so that it does not try a second
#: time.
MARKER = "DJANGO_PUSHJOBS_PATCHED"


def is_patched() -> bool:
    """Return True if gevent has patched this process from its start."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and all(
        monkey.is_module_patched(module) for module in ("socket", "threading", "time")
    )


def command_line(orig_argv: Sequence[str], argv: Sequence[str]) -> list[str]:
    """Return the arguments that start the same program with gevent patched first.

    :param orig_argv: :data:`sys.orig_argv`: the interpreter, its flags, the program, arguments.
    :param argv: :data:`sys.argv`: the program's path, then the same arguments.
    """
    arguments = list(argv[1:])
    head = list(orig_argv[1 : len(orig_argv) - len(arguments)])
    if head[-2:-1] == ["-m"]:
        flags, program = head[:-2], ["--module", head[-1]]
    else:
        flags, program = head[:-1], [head[-1]]
    return [*flags, "-m", "gevent.monkey", *program, *arguments]


def exec_patched() -> NoReturn:
    """Replace this process with one in which gevent patches first.

    :raises RuntimeError: that was done already, and gevent still has not patched.
    """
    if os.environ.get(MARKER):
        raise RuntimeError("gevent could not patch this process")
    environment = {MARKER: "1"}
    # ``python path/manage.py`` finds the modules beside manage.py, ``-m`` those in the current
    # folder: keep the path that was in use so far.
    if sys.path[:1] not in ([], [""]):
        path = [sys.path[0], *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(path)
    # The mask survives the exec. If our parent has blocked this signal, gevent's subprocess would
    # never learn that a process has ended, and some modules start one while they are imported.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    _exec(command_line(sys.orig_argv, sys.argv), environment)


def exec_again(environment: Mapping[str, str]) -> NoReturn:
    """Replace this process with a new run of the same program.

    :param environment: variables to set besides those of this process.
    :raises OSError: the program could not be started.
    """
    _exec(sys.orig_argv[1:], environment)


def _exec(arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    program = [sys.executable, *arguments]
    # This very program again, with its own arguments.
    os.execve(sys.executable, program, {**os.environ, **environment})  # noqa: S606 # nosec B606
