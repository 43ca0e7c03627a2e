from __future__ import annotations

import socket
from collections.abc import Iterator

import django_rq
import django_rq.settings
import pytest
from redis import Redis

from django_pushjobs.callbacks.endpoint_cache import endpoint_cache
from django_pushjobs.delivery import refusals
from django_pushjobs.limits import breaker, ramp


@pytest.fixture(autouse=True)
def redis() -> Iterator[Redis]:
    """The real server, empty before every test."""
    connection = django_rq.get_connection("pushjobs")
    connection.flushdb()
    yield connection
    connection.close()


@pytest.fixture(autouse=True)
def _no_endpoints_of_earlier_tests() -> None:
    endpoint_cache.clear()


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


@pytest.fixture(autouse=True)
def _no_pauses() -> None:
    """What a test before this one has paused is rolled back, and shall be forgotten."""
    breaker.forget()
    refusals.forget()
    ramp.forget()
