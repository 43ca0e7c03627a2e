"""The machine that was measured on: without it, no number means anything."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """
    :param memory: in bytes.
    :param load: the load averages over one minute when the run began and when it ended; what
        the run causes itself is in the second one.
    :param pinned: whether the worker had a core of its own.
    """

    processor: str
    cores: int
    memory: int
    system: str
    python: str
    valkey: str
    measured_at: str
    load: tuple[float, float]
    pinned: bool


def describe(*, valkey: str, load_before: float, pinned: bool) -> Machine:
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        python=platform.python_version(),
        valkey=valkey,
        measured_at=datetime.now(UTC).date().isoformat(),
        load=(load_before, os.getloadavg()[0]),
        pinned=pinned,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()
