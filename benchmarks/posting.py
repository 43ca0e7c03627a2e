"""One HTTP POST with each kind of client: the same request, kept-alive connections.

Workers on gevent get geventhttpclient, those on asyncio aiohttp, and those that run one job at a
time the standard library's client.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import Any
from urllib.parse import urlsplit

#: The environment variables that hold the URL to post to, how many jobs run at once, and how many
#: posts are made at once.
URL, CONCURRENCY = "BENCHMARK_GATEWAY", "BENCHMARK_CONCURRENCY"
CONNECTIONS = "BENCHMARK_CONNECTIONS"
HEADERS = {"Content-Type": "application/json"}
#: Seconds until a post fails.
TIMEOUT = 30.0


def body(index: int) -> bytes:
    return json.dumps({"id": f"job-{index}", "title": "Hello", "body": "A push message"}).encode()


def check(status: int) -> None:
    if status != 200:
        raise RuntimeError(f"the gateway answered {status}")


def post(index: int) -> None:
    """Post with the client that suits this process."""
    (_post_gevent if _is_patched() else _post_blocking)(index)


@cache
def _is_patched() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def _post_gevent(index: int) -> None:
    response = _gevent_client().post("/messages", body(index), HEADERS)
    response.read()
    check(response.status_code)


@cache
def _gevent_client() -> Any:
    from geventhttpclient import HTTPClient

    return HTTPClient.from_url(
        os.environ[URL],
        concurrency=int(os.environ[CONNECTIONS]),
        connection_timeout=TIMEOUT,
        network_timeout=TIMEOUT,
    )


def _post_blocking(index: int) -> None:
    connection = _blocking_client()
    connection.request("POST", "/messages", body(index), HEADERS)
    response = connection.getresponse()
    response.read()
    check(response.status)


@cache
def _blocking_client() -> Any:
    from http.client import HTTPConnection

    return HTTPConnection(urlsplit(os.environ[URL]).netloc, timeout=TIMEOUT)


async def post_asyncio(index: int) -> None:
    session = _asyncio_client()
    url = os.environ[URL] + "/messages"
    async with session.post(url, data=body(index), headers=HEADERS) as response:
        await response.read()
        check(response.status)


@cache
def _asyncio_client() -> Any:
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=int(os.environ[CONNECTIONS])),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT),
    )
