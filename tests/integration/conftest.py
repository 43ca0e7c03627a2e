from __future__ import annotations

from collections.abc import Iterator

import django_rq
import pytest
from redis import Redis


@pytest.fixture(autouse=True)
def redis() -> Iterator[Redis]:
    """The real server, empty before every test."""
    connection = django_rq.get_connection("pushjobs")
    connection.flushdb()
    yield connection
    connection.close()
