"""``python -m benchmarks.losses``: dead connections, and what they cost the messages.

A provider that is well, and a network that is not: between bursts it forgets the connections,
resets them, falls silent, closes them at the moment they are used again, or drops the SYNs to one
of two addresses. Every message must be accepted, once, within five seconds, at the first attempt.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import gevent.pool

from tests.support import apns, fcm, push_service
from tests.support.network import Link, Network, dead_address, network

from .providers.ours import backend_for, set_up

BURST = 40

Fault = Callable[[Link], None]
FAULTS: dict[str, Fault] = {
    "forgotten without a RST": Link.forget,
    "reset": Link.reset,
    "closed": Link.close,
    "reset as it is used again": Link.doom,
}
#: Over HTTP/1.1 a peer that is alive and says nothing is one that is slow.
OVER_HTTP2: dict[str, Fault] = {"acknowledged and silent": Link.fall_silent}


@contextmanager
def peer_of(kind: str, folder: Path) -> Iterator[tuple[Any, int, dict[str, Any]]]:
    """Run a provider; yields it, its port, and what a sender has to be told."""
    if kind == "apns":
        with apns.apns() as peer:
            told = {"options": peer.options, "addresses": [f"{n:064x}" for n in range(100)]}
            yield peer, peer.port, told
        return
    context, ca_file = fcm.tls(folder)
    run: Any = push_service.push_service if kind == "webpush" else fcm.fcm
    with run(context) as peer:
        yield peer, peer.port, {"ca_file": ca_file}


def lead(kind: str, peer: Any, told: dict[str, Any], port: int) -> None:
    """Let ``told`` lead to ``port`` instead of the provider's own."""
    if kind == "apns":
        told["options"] = told["options"] | {"port": port, "host": "localhost"}
        return
    peer.port = told["port"] = port
    if kind == "webpush":
        told["addresses"] = [peer.subscribe() for _ in range(100)]
    else:
        told["credentials"] = peer.credentials()
        told["addresses"] = [f"device-{n}:APA91b" for n in range(100)]


def taken(kind: str, peer: Any) -> Counter[str]:
    """Return how often the provider took each message, by its number."""
    if kind == "apns":
        got = [r.json["n"] for r in peer.received if r.reply == apns.OK]
    elif kind == "fcm":
        got = [m["data"]["n"] for m in peer.messages]
    else:
        got = [m.message["notification"]["data"]["n"] for m in peer.received]
    return Counter(got)


class Sender:
    def __init__(self, backend: Any, addresses: list[str]) -> None:
        self.backend, self.addresses = backend, addresses
        self.count = 0
        self.outcomes: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._pool = gevent.pool.Pool(BURST)

    def burst(self, size: int) -> None:
        numbers = range(self.count, self.count + size)
        self.count += size
        self._pool.map(self._push, numbers)

    def _push(self, n: int) -> None:
        from django_pushjobs.backends import Message, Target

        key, address = uuid.UUID(int=n), self.addresses[n % len(self.addresses)]
        message = Message(request_id=key, title="Your order", data={"n": str(n)})
        target = Target(delivery_id=key, address=address)
        began = time.monotonic()
        outcome = self.backend.push(message, target)
        self.seconds.append(time.monotonic() - began)
        self.outcomes[f"{outcome.kind} {outcome.code}".strip()] += 1


def with_dead_address(address: str) -> None:
    """Let every host have ``address`` before its own."""
    from django_pushjobs.transport import dialer

    plain = dialer.Dialer._addresses

    def addresses(self: Any) -> list[Any]:
        found = plain(self)
        family, kind, protocol, name, (_, port) = next(i for i in found if len(i[4]) == 2)
        dead = (family, kind, protocol, name, (address, port))
        return sorted([dead, *found], key=lambda info: self._distrusted.get(info[-1], 0.0))

    dialer.Dialer._addresses = addresses  # type: ignore[method-assign]


def soak(kind: str, count: int, goal: float) -> bool:
    """Push ``count`` messages through faults; print what came of it, and return if all is well.

    :param goal: seconds within which each message has to be accepted.
    """
    from django_pushjobs.transport import dialer

    faults = FAULTS | (OVER_HTTP2 if kind == "apns" else {})
    plain = dialer.Dialer._addresses
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushjobs-losses-")))
        peer, port, told = stack.enter_context(peer_of(kind, folder))
        way: Network = stack.enter_context(network(port))
        lead(kind, peer, told, way.port)
        backend = backend_for(kind, told)
        stack.callback(backend.close)
        stack.callback(setattr, dialer.Dialer, "_addresses", plain)
        sender = Sender(backend, told["addresses"])
        sender.burst(BURST)
        slowest: dict[str, float] = {}
        names = [*faults, "SYNs dropped at one of two addresses"]
        rounds = max(1, (count - BURST) // BURST)
        dead = ""
        for number in range(rounds):
            name = names[number * len(names) // rounds]
            if name in faults:
                way.all(faults[name])
            else:
                if not dead:
                    dead = stack.enter_context(dead_address(way.port))
                    with_dead_address(dead)
                way.all(Link.close)
            seen = len(sender.seconds)
            sender.burst(1)
            sender.burst(BURST - 1)
            slowest[name] = max(slowest.get(name, 0.0), *sender.seconds[seen:])
        got = taken(kind, peer)
    accepted = sender.outcomes["ok"]
    repeated = sum(times - 1 for times in got.values())
    lost = sender.count - len(got)
    worst = max(sender.seconds)
    is_well = accepted == sender.count and not (repeated or lost) and worst <= goal
    print(
        f"{kind}: {sender.count:,} pushes over {way.opened:,} connections: {accepted:,} accepted, "
        f"{lost} lost, {repeated} twice; half within {median(sender.seconds) * 1_000:.0f} ms, "
        f"the slowest {worst:.2f} s  {'ok' if is_well else 'FAILED'}"
    )
    for name, seconds in slowest.items():
        print(f"    {seconds:6.2f} s  the slowest after connections were {name}")
    for outcome, times in (sender.outcomes - Counter(ok=accepted)).items():
        print(f"    {times:7,}  {outcome}")
    return is_well


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.losses", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--goal", type=float, default=5.0, help="seconds")
    given = parser.parse_args()
    set_up()
    ended = [soak(kind, given.count, given.goal) for kind in ("webpush", "fcm", "apns")]
    return int(not all(ended))


if __name__ == "__main__":
    sys.exit(main())
