"""How a process of the worker ends, for the arbiter and for whatever supervises it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``rqgeventworker`` and of its children."""

    #: Stopped as asked, or (burst, idle) there was nothing left to do.
    OK = 0
    #: An unexpected error; its traceback is in the log.
    CRASHED = 1
    #: The arbiter gave up: its children failed to boot, several times in a row.
    CANNOT_BOOT = 3
    #: A child failed to boot.
    BOOT_FAILED = 4
    #: A child reached ``--max-jobs`` or ``--max-memory``, or RQ told it to shut down: replace it.
    RECYCLE = 5
    #: A child left because its arbiter was gone.
    ORPHANED = 6
