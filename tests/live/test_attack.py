"""The short form of the attack harness; the long one is ``make attack``.

See docs/explanation/attacks.rst for what is attacked and how to read the table.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.stack import Program


@pytest.mark.timeout(400)
def test_nobody_falls_and_nobody_else_is_hurt(tmp_path: Path) -> None:
    harness = Program(
        ["-m", "tests.attack", "--short", "--keep", str(tmp_path / "logs")],
        environment=dict(os.environ),
        log=tmp_path / "harness.log",
    )
    try:
        code = harness.wait(380)
        print(harness.output)
        assert code == 0
    finally:
        # On this signal it ends whatever it has started.
        harness.signal(signal.SIGTERM)
        harness.wait()
