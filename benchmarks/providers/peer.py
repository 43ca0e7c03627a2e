"""A peer in a process of its own: ``python -m benchmarks.providers.peer webpush FOLDER 0.05``.

It writes what a sender needs to ``FOLDER/peer.json``, and answers ``/figures`` with what it got:
over HTTP/1.1 at the port ``figures``, which for APNs is not the one that is pushed to.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.apns import apns
from tests.support.fcm import FCM, tls
from tests.support.peers import Reply, Request, as_json, serve
from tests.support.push_service import PushService

SUBSCRIPTIONS = 1_000


class Counted:
    """Counts what is accepted, and the time from the first call to the last."""

    def __init__(self, peer: FCM | PushService) -> None:
        self.peer = peer
        self.accepted, self.first, self.last = 0, 0.0, 0.0

    def __call__(self, request: Request) -> Reply:
        if request.path == "/figures":
            taken = {"accepted": self.accepted, "seconds": self.last - self.first}
            self.accepted, self.first = 0, 0.0
            return as_json(200, taken)
        now = time.monotonic()
        reply = self.peer(request)
        if request.path != "/token" and reply.status < 300:
            self.first = self.first or now
            self.accepted, self.last = self.accepted + 1, now
        return reply


def write(folder: Path, told: dict[str, Any]) -> None:
    """Tell senders all at once: they take the file as soon as it is there."""
    (folder / "peer.tmp").write_text(json.dumps(told), "utf-8")
    os.rename(folder / "peer.tmp", folder / "peer.json")


def serve_apns(folder: Path, latency: float) -> None:
    """Serve the APNs of the tests in a thread, and what it accepted beside it.

    It verifies the provider token and looks at every header, so it takes about two thirds of what
    our sender takes of a core.

    :param latency: seconds before each answer.
    """
    context, ca_file = tls(folder)
    with apns(latency=latency, keep=False) as peer:
        authorities = Path(ca_file).read_text("ascii") + Path(peer.ca_file).read_text("ascii")
        (folder / "authorities.pem").write_text(authorities, "ascii")
        (folder / "key.p8").write_text(peer.key, "ascii")
        seen = 0

        def figures(_request: Request) -> Reply:
            nonlocal seen
            before, seen = seen, peer.replies["OK"]
            return as_json(200, {"accepted": seen - before})

        def started(port: int) -> None:
            ca_file = str(folder / "authorities.pem")
            told = {
                "port": peer.port,
                "figures": port,
                "ca_file": ca_file,
                "options": peer.options | {"ca_file": ca_file},
                "key_file": str(folder / "key.p8"),
                "addresses": [f"{n:064x}" for n in range(SUBSCRIPTIONS)],
            }
            write(folder, told)

        asyncio.run(serve(figures, started, tls=context))


def main(kind: str, folder: Path, latency: float) -> None:
    if kind == "apns":
        serve_apns(folder, latency)
        return
    context, ca_file = tls(folder)
    # Bodies are decrypted by the soak; here the peer must keep up with the sender.
    peer = PushService(decrypts=False) if kind == "webpush" else FCM()

    def started(port: int) -> None:
        peer.port = port
        told: dict[str, Any] = {"port": port, "figures": port, "ca_file": ca_file}
        if isinstance(peer, PushService):
            told["addresses"] = [peer.subscribe() for _ in range(SUBSCRIPTIONS)]
        else:
            told["credentials"] = peer.credentials()
            told["addresses"] = [f"device-{n}:APA91b" for n in range(SUBSCRIPTIONS)]
        write(folder, told)

    asyncio.run(serve(Counted(peer), started, tls=context, latency=latency))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
