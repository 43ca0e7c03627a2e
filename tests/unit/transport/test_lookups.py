"""Names that nobody answers cost those who ask for them, and nobody else."""

from __future__ import annotations

import contextvars
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from django_pushjobs.exceptions import DestinationRefused
from django_pushjobs.transport import destinations, lookups
from django_pushjobs.transport.lookups import PER_CLIENT, PER_DOMAIN, RESERVED, THREADS, Lookups
from tests.support.waiting import eventually

ADDRESS = "93.184.215.14"


class NameServer:
    """Answers for some names at once, and for others when it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, host: str, port: int, **options: Any) -> list[Any]:
        self.asked.append(host)
        if "silent" in host and not self.let_go.wait(60):
            raise AssertionError("nobody let it go")
        if "nowhere" in host:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ADDRESS, port))]


@pytest.fixture
def server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.let_go.set()


def ask(look_up: Lookups, *names: str) -> ThreadPoolExecutor:
    """Look up many names, each in a thread of its own."""
    callers = ThreadPoolExecutor(len(names))
    for name in names:
        callers.submit(look_up, name, 443)
    return callers


def test_returns_what_was_found_with_the_port_that_was_asked_for(server: NameServer) -> None:
    look_up = Lookups(server)
    for port in (443, 8_443):
        (info,) = look_up("Host.example", port, type=socket.SOCK_STREAM)
        assert info == (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ADDRESS, port))
    assert server.asked == ["host.example"]


def test_an_address_waits_for_nothing(server: NameServer) -> None:
    look_up = Lookups(server, deadline=0)
    assert look_up(ADDRESS, 443)[0][-1] == (ADDRESS, 443)


def test_who_asks_for_a_name_that_is_not_answered_leaves(server: NameServer) -> None:
    look_up = Lookups(server, deadline=0.05)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            look_up("silent.example", 443)
    assert server.asked == ["silent.example"]
    server.let_go.set()
    assert eventually(lambda: _found(look_up, "silent.example"))


def test_all_who_ask_for_one_name_wait_for_one_thread(server: NameServer) -> None:
    look_up = Lookups(server, deadline=60)
    with ThreadPoolExecutor(20) as callers:
        answers = [callers.submit(look_up, "silent.example", 443) for _ in range(20)]
        eventually(lambda: server.asked)
        server.let_go.set()
        assert all(answer.result() for answer in answers)
    assert server.asked == ["silent.example"]


def test_names_that_are_not_answered_hold_a_part_of_the_threads(server: NameServer) -> None:
    look_up = Lookups(server, deadline=60)
    look_up("known.example", 443)
    look_up._found["known.example"] = (0.0, ())  # as if that were long ago
    names = [f"silent.domain-{number}.example" for number in range(THREADS * 2)]
    several = [f"silent.{n}.several-{n % 2}.example" for n in range(THREADS * 2)]
    with ask(look_up, *several[::2]):
        eventually(lambda: len(server.asked) == 1 + PER_DOMAIN)
        with ask(
            look_up, *(name.replace(".example", f"{n}.example") for n, name in enumerate(names))
        ):
            eventually(lambda: len(server.asked) == 1 + THREADS - RESERVED)
            # Meanwhile one that was found before is found again.
            assert look_up("known.example", 443)
            assert len(server.asked) == 2 + THREADS - RESERVED
            server.let_go.set()
    # Nobody was turned away, since there was time.
    assert len(server.asked) == 2 + THREADS + len(names)


def test_the_names_of_one_client_leave_room_for_those_of_another(server: NameServer) -> None:
    look_up = Lookups(server, deadline=60)

    def ask_for(client: int, name: str) -> list[Any]:
        lookups.client.set(client)
        return look_up(name, 443)

    with ThreadPoolExecutor(THREADS) as callers:
        for number in range(THREADS):
            callers.submit(ask_for, 1, f"silent.domain-{number}.example")
        eventually(lambda: len(server.asked) == PER_CLIENT)
        context = contextvars.copy_context()
        assert context.run(ask_for, 2, "new.domain.example")
        assert len(server.asked) == PER_CLIENT + 1
        server.let_go.set()
    assert len(server.asked) == THREADS + 1


def test_a_name_that_failed_fails_again_without_being_asked_for(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = Lookups(server)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            look_up("nowhere.example", 443)
    assert server.asked == ["nowhere.example"]
    monkeypatch.setattr(lookups, "FAILED", 0.0)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            look_up("nowhere.elsewhere.example", 443)
    assert server.asked[1:] == ["nowhere.elsewhere.example"] * 2


def test_what_is_remembered_is_bounded(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "REMEMBERED", 3)
    look_up = Lookups(server)
    for number in range(9):
        look_up(f"{number}.example", 443)
        with pytest.raises(socket.gaierror):
            look_up(f"nowhere-{number}.example", 443)
    assert len(look_up._found) == len(look_up._failed) == 3
    assert not look_up._flights


def test_a_destination_that_is_not_answered_is_refused_for_now(
    server: NameServer,
) -> None:
    look_up = Lookups(server, deadline=0.05)
    with pytest.raises(DestinationRefused) as refused:
        destinations.check("https://silent.example/", lookup=look_up)
    assert refused.value.transient
    assert (refused.value.code, refused.value.detail) == (
        "unresolvable",
        "The host could not be looked up in time.",
    )


PATCHED = """
import threading
from gevent.monkey import get_original, saved

released = get_original("_thread", "allocate_lock")()
released.acquire()
asked = []

def getaddrinfo(host, port, *args, **options):
    asked.append(host)
    if "silent" in host:
        with released:  # a lock of the operating system, as in the resolver
            pass
    return [(2, 1, 6, "", ("93.184.215.14", port))]

saved["socket"]["getaddrinfo"] = getaddrinfo

import gevent
from gevent.socket import getaddrinfo as configured
from django_pushjobs.transport.lookups import RESERVED, THREADS, lookups

ended = []

def ask(host):
    try:
        lookups()(host, 443)
    except OSError as error:
        ended.append(type(error).__name__)

asking = [gevent.spawn(ask, f"silent.{n}-{n}.example") for n in range(400)]
while len(asked) < THREADS - RESERVED:
    gevent.sleep(0.01)
# The names of the settings do not wait for any of these.
assert configured("localhost", 443)
assert not ended
gevent.joinall(asking)
assert ended == ["TimeoutError"] * 400, ended
assert len(asked) == THREADS - RESERVED, len(asked)
released.release()
while lookups()._flights:
    gevent.sleep(0.01)
assert lookups()("host.example", 443)[0][-1] == ("93.184.215.14", 443)
print("done")
"""


def test_the_same_in_a_worker_with_greenlets(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PATCHED)
    done = subprocess.run(
        [sys.executable, "-m", "gevent.monkey", str(program)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "done\n", done.stderr


def _found(look_up: Lookups, name: str) -> bool:
    look_up._failed.clear()
    try:
        return bool(look_up(name, 443))
    except TimeoutError:
        return False
