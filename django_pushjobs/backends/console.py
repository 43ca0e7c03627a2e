"""Writes messages to standard output, for development."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from .base import BasePushBackend, Message, Target
from .outcomes import Outcome, accepted


class ConsoleBackend(BasePushBackend):
    """Writes every message in full, address included, and accepts it.

    :param stream: where to write, instead of standard output.
    """

    def __init__(self, *, alias: str, stream: TextIO | None = None) -> None:
        super().__init__(alias=alias)
        self._stream = stream

    def push(self, message: Message, target: Target) -> Outcome:
        lines = [f"Push {target.delivery_id} to {target.address}"]
        lines += [f"  {name}: {value}" for name, value in self._shown(message) if value]
        # One write, so that the lines of many greenlets do not mix.
        stream = self._stream or sys.stdout
        stream.write("\n".join(lines) + "\n")
        stream.flush()
        return accepted()

    def _shown(self, message: Message) -> list[tuple[str, str]]:
        return [
            ("title", message.title),
            ("body", message.body),
            ("data", _json(message.data)),
            ("options", _json(message.options)),
            ("collapse key", message.collapse_key),
        ]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
