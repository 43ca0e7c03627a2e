"""A peer in a process of its own: ``python -m benchmarks.providers.peer webpush FOLDER 0.05``.

It writes what a sender needs to ``FOLDER/peer.json``, and answers ``/figures`` with what it got.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

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


def main(kind: str, folder: Path, latency: float) -> None:
    context, ca_file = tls(folder)
    # Bodies are decrypted by the soak; here the peer must keep up with the sender.
    peer = PushService(decrypts=False) if kind == "webpush" else FCM()

    def started(port: int) -> None:
        peer.port = port
        told: dict[str, Any] = {"port": port, "ca_file": ca_file}
        if isinstance(peer, PushService):
            told["addresses"] = [peer.subscribe() for _ in range(SUBSCRIPTIONS)]
        else:
            told["credentials"] = peer.credentials()
            told["addresses"] = [f"device-{n}:APA91b" for n in range(SUBSCRIPTIONS)]
        (folder / "peer.tmp").write_text(json.dumps(told), "utf-8")
        os.rename(folder / "peer.tmp", folder / "peer.json")

    asyncio.run(serve(Counted(peer), started, tls=context, latency=latency))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
