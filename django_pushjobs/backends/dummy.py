"""Accepts everything and sends nothing."""

from __future__ import annotations

from .base import BasePushBackend, Message, Target
from .outcomes import Outcome, accepted


class DummyBackend(BasePushBackend):
    """For benchmarks, and for environments that must not reach anybody."""

    def push(self, message: Message, target: Target) -> Outcome:
        return accepted()
