from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack
from tests.support.stack import stack as lend


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with lend(tmp_path) as lent:
        yield lent
