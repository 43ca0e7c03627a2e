"""The short form of the chaos harness; the long one is ``make chaos``.

See docs/explanation/chaos.rst for what is broken and how to read the table.
"""

from __future__ import annotations

import os
import signal
from itertools import chain
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS
from tests.support.stack import Program

GROUPS = {
    "processes": ["child-kill", "arbiter-kill", "host-kill", "child-stop", "lease-edge", "parts"],
    "servers": [
        *("redis-flush", "redis-restart", "redis-hang", "db-terminate", "db-restart", "db-hang"),
        "two-workers",
    ],
    "listeners": ["callbacks", "two-sites", "replica-late"],
    # What they need comes from the distribution.
    "packages": ["pgbouncer", "clocks"],
    "gateway": [
        *("gateway-500", "gateway-429", "gateway-reset", "gateway-silent", "gateway-away"),
        *("unknown-stop", "everything"),
    ],
}


def test_every_fault_is_in_a_group() -> None:
    assert sorted(chain.from_iterable(GROUPS.values())) == sorted(FAULTS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS)
def test_nothing_is_lost_and_nothing_lies(tmp_path: Path, group: str) -> None:
    missing = [FAULTS[name].missing() for name in GROUPS[group]]
    if all(missing) and "CI" not in os.environ:
        pytest.skip(f"{'; '.join(missing)}; CI installs it")
    harness = Program(
        ["-m", "tests.chaos", "--short", "--keep", str(tmp_path / "logs"), *GROUPS[group]],
        environment=dict(os.environ),
        log=tmp_path / "harness.log",
    )
    try:
        code = harness.wait(280)
        print(harness.output)
        assert code == 0
    finally:
        # On this signal it ends whatever it has started.
        harness.signal(signal.SIGTERM)
        harness.wait()
