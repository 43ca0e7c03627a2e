"""gevent patches first, or not at all.

A management command starts when Django, and with it half of the standard library, is loaded
already: too late to patch. So the command starts its own process again, once, with
``python -m gevent.monkey`` in front.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

#: Set in the process that was started again, so that it does not try a second time.
MARKER = "DJANGO_PUSHJOBS_PATCHED"


def is_patched() -> bool:
    """Return True where gevent has patched this process from its start."""
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


def exec_patched() -> None:
    """Replace this process by one in which gevent patches first; does not return.

    :raises RuntimeError: that was done already, and gevent still has not patched.
    """
    if os.environ.get(MARKER):
        raise RuntimeError("gevent could not patch this process")
    environment = os.environ | {MARKER: "1"}
    # ``python path/manage.py`` finds the modules beside manage.py, ``-m`` those in the current
    # folder: keep what was found so far.
    if sys.path[:1] not in ([], [""]):
        path = [sys.path[0], *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(path)
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = command_line(sys.orig_argv, sys.argv)
    os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606
