from __future__ import annotations

import socket
from collections.abc import Iterator

import django_rq
import django_rq.settings
import pytest
from redis import Redis


@pytest.fixture(autouse=True)
def redis() -> Iterator[Redis]:
    """The real server, empty before every test."""
    connection = django_rq.get_connection("pushjobs")
    connection.flushdb()
    yield connection
    connection.close()


@pytest.fixture
def no_redis() -> Iterator[None]:
    """Nobody listens where our queue is said to be."""
    queues = django_rq.settings.QUEUES
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        given, queues["pushjobs"] = queues["pushjobs"], queues["pushjobs"] | {"URL": url}
        try:
            yield
        finally:
            queues["pushjobs"] = given
