"""What all faults have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import UUID

from ..audit import Row
from ..world import World

#: Seconds that a new worker may need until it is ready.
STARTUP = 5.0


class Fault:
    """Something that goes wrong again and again while push requests come in.

    ``pause`` is the time between two strikes in seconds, ``strikes`` how many there are at least,
    and ``repeats`` says whether the fault is a reason to push a message twice.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    repeats: ClassVar[bool] = False
    pause: ClassVar[float] = 1.0
    strikes: ClassVar[int] = 1
    #: ``rqgeventworker`` programs that run meanwhile, and the lease of their claims; 0 for the
    #: usual one.
    workers: ClassVar[int] = 1
    lease: ClassVar[float] = 0.0
    #: What all workers but the first find in their environment beside that.
    odd: Mapping[str, str] = {}
    #: Whether requests are so large that they are pushed in parts.
    in_parts: ClassVar[bool] = False
    #: What submissions have besides an address and a title.
    fields: Mapping[str, Any] = {}
    #: Whether submissions must be answered within ``Pace.answer`` meanwhile.
    prompt: ClassVar[bool] = False

    def missing(self) -> str:
        """Return what this machine lacks for it, or nothing."""
        return ""

    def count(self, world: World, share: int) -> int:
        """Return how many push requests it takes, if its share of all is ``share``."""
        return share

    def addresses(self, world: World) -> int:
        """Return how many addresses a push request has."""
        return 1

    @contextmanager
    def stage(self, world: World) -> Iterator[dict[str, str]]:
        """Run what only this fault needs; yields what the workers find in their environment."""
        yield {}

    def strike(self, world: World) -> None:
        """Break something, once."""

    def heal(self, world: World) -> None:
        """Repair what was broken."""

    def parts(self, world: World) -> list[tuple[Fault, float]]:
        """Return the faults that strike at the same time, each with its pause."""
        return [(self, self.pause)]

    def slack(self, world: World) -> float:
        """Return for how many seconds of a recovery the fault could not have been noticed."""
        return 0.0

    def audit(self, world: World, rows: Mapping[UUID, Row]) -> Iterator[str]:
        """Yield a sentence for each thing that does not add up and that only this fault knows."""
        yield from ()
