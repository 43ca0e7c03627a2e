"""What an attack costs the processes that are attacked."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Self

import psutil

#: Seconds between two looks at the processes.
EVERY = 0.25


class Group:
    """The processes that do one kind of work.

    :ivar cpu: seconds of CPU time since it was made.
    :ivar grown: bytes that they were larger by, at most.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self.pids = frozenset(pids)
        self._processes = [psutil.Process(pid) for pid in self.pids]
        self._cpu, self._resident = self._look()
        self.cpu, self.grown = 0.0, 0

    def look(self) -> None:
        cpu, resident = self._look()
        # Those that are gone take their time with them.
        self.cpu = max(self.cpu, cpu - self._cpu)
        self.grown = max(self.grown, resident - self._resident)

    def _look(self) -> tuple[float, int]:
        cpu, resident = 0.0, 0
        for process in self._processes:
            try:
                times = process.cpu_times()
                cpu += times.user + times.system
                resident += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return cpu, resident


class Costs:
    """Looks at groups of processes while it is entered.

    :param groups: by name, the ids of the processes.
    """

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        self.groups = {name: Group(pids) for name, pids in groups.items()}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    def _look(self) -> None:
        for group in self.groups.values():
            group.look()
