"""``python -m benchmarks.soak``: thousands of messages, errors and resets, and nothing lost.

The provider answers one message in ten with an error of its table, or cuts the connection, and the
network between loses connections without a word, or resets them as they are used again. Each
message is pushed until an outcome is final, as the worker does, but without its waits. In the end
every message that was taken is compared with the one that was pushed, field by field.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import gevent.pool

from tests.support import fcm, push_service
from tests.support.network import Link, network
from tests.support.peers import RESET, Reply

from .providers.ours import backend_for, set_up

#: What happens to connections. A repeat must not be due to an answer that was lost, so that what is
#: taken twice is a fault of ours.
FAULTS = (Link.doom, Link.doom, Link.doom, Link.forget)
#: Answers after which a message is tried again, of those of the tables.
ATTEMPTS = 50
#: Provider -> class -> answers of its peer, by name.
KINDS = {
    "webpush": {
        "drop": "404 410 mismatch",
        "config": "400 401 403 BadJwtToken errno-109 errno-110",
        "fail": "413 errno-104",
        "throttle": "429",
        "retry": "500 503 errno-201 errno-202",
        "reconnect": "RESET",
    },
    "fcm": {
        "drop": "UNREGISTERED INVALID_TOKEN INVALID_TOKEN_FIELD SENDER_ID_MISMATCH",
        "config": "PERMISSION_DENIED UNAUTHENTICATED THIRD_PARTY_AUTH_ERROR",
        "fail": "INVALID_FIELD INVALID_DATA",
        "throttle": "QUOTA_EXCEEDED QUOTA_EXCEEDED_WAIT RESOURCE_EXHAUSTED",
        "retry": "INTERNAL UNAVAILABLE GATEWAY",
        "reconnect": "RESET",
    },
}


class Soak:
    def __init__(self, kind: str, peer: Any, told: dict[str, Any], seed: int) -> None:
        self.peer = peer
        self.chance = random.Random(seed)
        self.kind = kind
        self.backend = backend_for(kind, told)
        answers = fcm.ANSWERS if kind == "fcm" else push_service.ANSWERS
        self.answers = {**answers, "RESET": RESET}
        self.kinds = {name: k for k, names in KINDS[kind].items() for name in names.split()}
        self.errors = [*self.kinds, *["RESET"] * 4]
        self.addresses: list[str] = told["addresses"]
        self.final: dict[int, str] = {}
        self.renewed = 0
        if kind == "webpush":
            renew = self.backend._vapid.renew

            def counted(origin: str, refused: str) -> bool:
                is_new: bool = renew(origin, refused)
                self.renewed += is_new
                return is_new

            self.backend._vapid.renew = counted
        self.outcomes: Counter[str] = Counter()
        self.drawn: Counter[str] = Counter()
        peer.script = self.answer

    def answer(self, received: Any) -> Reply | None:
        if self.chance.random() >= 0.1:
            return None
        name = self.chance.choice(self.errors)
        self.drawn[name] += 1
        return self.answers[name]

    def message(self, n: int) -> Any:
        from django_pushjobs.backends import Message

        return Message(
            request_id=uuid.UUID(int=n),
            title=f"Order {n}",
            body=f"Grüße, 世界 {n}",
            data={"n": str(n)},
            options={"badge": n % 100, "click_action": f"https://example.org/orders/{n}"},
            priority=("high", "normal", "low")[n % 3],
            collapse_key=f"order-{n}",
        )

    def push(self, n: int) -> None:
        from django_pushjobs.backends import Target

        target = Target(
            delivery_id=uuid.UUID(int=n), address=self.addresses[n % len(self.addresses)]
        )
        for _ in range(ATTEMPTS):
            outcome = self.backend.push(self.message(n), target)
            self.outcomes[f"{outcome.kind} {outcome.code}".strip()] += 1
            if not outcome.is_transient:
                break
        self.final[n] = outcome.kind

    def taken(self) -> dict[int, dict[str, Any]]:
        """Return what the provider has taken, by number."""
        found = {}
        messages = (
            self.peer.messages
            if self.kind == "fcm"
            else [got.message | {"path": got.path} for got in self.peer.received]
        )
        for one in messages:
            data = one["data"] if self.kind == "fcm" else one["notification"]["data"]
            assert int(data["n"]) not in found, "taken twice"
            found[int(data["n"])] = one
        return found

    def unlike_the_table(self) -> int:
        """Return how many error answers did not lead to the outcome of their row."""
        drawn: Counter[str] = Counter()
        for name, times in self.drawn.items():
            drawn[self.kinds[name]] += times
        ended: Counter[str] = Counter()
        for outcome, times in self.outcomes.items():
            ended[outcome.split(" ")[0]] += times
        del ended["ok"]
        # What the network did to connections is in no table, and some of it nobody notices.
        del ended["reconnect"], drawn["reconnect"]
        ended["retry"] -= self.outcomes["retry timeout"]
        # A token that is refused and renewed does not lead to an outcome.
        renewed = self.peer.token_calls - 1 if self.kind == "fcm" else self.renewed
        drawn["config"] -= renewed
        return sum(abs(drawn[kind] - ended[kind]) for kind in drawn | ended)

    def wrong(self, n: int, got: dict[str, Any]) -> bool:
        from django_pushjobs.backends import Target
        from django_pushjobs.backends.fcm import wire_format
        from django_pushjobs.backends.webpush import payload

        address = self.addresses[n % len(self.addresses)]
        target = Target(delivery_id=uuid.UUID(int=n), address=address)
        if self.kind == "fcm":
            return got != wire_format(self.message(n), target)
        path = got.pop("path")
        return got != payload(self.message(n), target) or path not in address


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    set_up()
    failed = False
    for kind in ("webpush", "fcm"):
        with tempfile.TemporaryDirectory(prefix="pushjobs-soak-") as name:
            context, ca_file = fcm.tls(Path(name))
            run = push_service.push_service if kind == "webpush" else fcm.fcm
            with (
                run(context) as peer,  # type: ignore[operator]
                network(peer.port, faults=FAULTS, seed=given.seed) as way,
            ):
                peer.port = way.port
                told: dict[str, Any] = {"port": peer.port, "ca_file": ca_file}
                if kind == "webpush":
                    told["addresses"] = [peer.subscribe() for _ in range(100)]
                else:
                    told["credentials"] = peer.credentials()
                    told["addresses"] = [f"device-{n}:APA91b" for n in range(100)]
                soak = Soak(kind, peer, told, given.seed)
                began = time.monotonic()
                gevent.pool.Pool(100).map(soak.push, range(given.count))
                seconds = time.monotonic() - began
                soak.backend.close()
        taken = soak.taken()
        accepted = {n for n, end in soak.final.items() if end == "ok"}
        lost = given.count - len(soak.final) + len(accepted - taken.keys())
        wrong = sum(soak.wrong(n, got) for n, got in taken.items())
        ghosts = len(taken.keys() - accepted)
        print(
            f"{kind}: {given.count:,} messages in {seconds:.0f} s, {sum(soak.drawn.values()):,} "
            f"errors, {soak.drawn['RESET']:,} of them resets, over {way.opened:,} connections: "
            f"{len(accepted):,} accepted, "
            f"{given.count - len(accepted):,} refused for good, {lost} lost, {wrong} with a "
            f"wrong field, {ghosts} taken without our knowledge"
        )
        for outcome, times in sorted(soak.outcomes.items()):
            print(f"    {times:7,}  {outcome}")
        unlike = soak.unlike_the_table()
        print(f"    {unlike:7,}  outcomes that contradict the table")
        failed = failed or bool(lost or wrong or ghosts or unlike)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
