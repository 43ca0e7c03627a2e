"""How a process of the worker ends, for the arbiter and for those who supervise it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``rqgeventworker`` and of its children."""

    #: Stopped as asked, or (burst, idle) there was nothing left to do.
    OK = 0
    #: An error nobody expected; its traceback stands in the log.
    CRASHED = 1
    #: The arbiter gave up: its children could not boot, several times in a row.
    CANNOT_BOOT = 3
    #: A child could not boot.
    BOOT_FAILED = 4
    #: A child did what ``--max-jobs`` allows and wants to be replaced.
    RECYCLE = 5
    #: A child left because its arbiter was gone.
    ORPHANED = 6
