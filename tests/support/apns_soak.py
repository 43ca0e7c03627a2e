"""``python -m tests.support.apns_soak``: thousands of pushes while APNs answers with errors.

A share of the answers is drawn from all that APNs may say, and connections are reset or told to go
away at random; what is worth another attempt is pushed again, as a worker does. In the end every
message must have got its answer, and every field of every request must be right on the far side.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import gevent
import gevent.pool
from h2.errors import ErrorCodes

from django_pushjobs.backends import Message, Outcome, OutcomeClass, Target
from django_pushjobs.backends.answers import Answers
from django_pushjobs.backends.apns import APNsBackend

from .apns import TOPIC, Abort, Answer, GoAway, Peer, Received, Reply, Reset, apns, errors
from .network import Link, network

#: Every answer other than 200.
ERRORS: list[Reply] = [
    *(
        Answer(int(row.answer), row.reason)
        for row in APNsBackend.answer_rows
        # ExpiredProviderToken has a test of its own, since the token must have expired.
        if row.answer.isdecimal() and row.reason and not row.renews
    ),
    Reset(),
    Reset(ErrorCodes.REFUSED_STREAM),
]
#: What ends a whole connection, and how often it comes instead of an answer.
ENDS: list[Reply] = [Abort(), GoAway("Shutdown"), GoAway("IdleTimeout")]
END_RATE = 0.005
#: What the network does to connections now and then.
FAULTS = (Link.doom, Link.reset, Link.forget, Link.fall_silent)
EXPIRES_AT = datetime(2100, 1, 1, tzinfo=UTC)
MAX_ATTEMPTS = 20


@dataclass
class Push:
    """One message to one device, and the outcomes of all attempts."""

    number: int
    message: Message
    target: Target
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass
class Report:
    """What the soak found. ``wrong`` is empty if all is well."""

    pushes: int
    seconds: float
    requests: int = 0
    connections: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kinds.items()))
        return (
            f"{self.pushes} messages, {self.requests} requests over {self.connections} connections"
            f" in {self.seconds:.1f} s; ended as {kinds}; {len(self.wrong)} wrong"
        )


def soak(count: int, *, rate: float = 0.1, seed: int = 1, at_once: int = 200) -> Report:
    """Push ``count`` messages; a share ``rate`` of the answers are errors."""
    with (
        apns(latency=0.005, max_streams=64, draw=_draw(rate, seed)) as peer,
        network(peer.port, faults=FAULTS, seed=seed) as way,
    ):
        backend = APNsBackend(alias="apns", **peer.options | {"port": way.port}, timeout=30)
        started = time.monotonic()
        pushes = [_a_push(number) for number in range(count)]
        pool = gevent.pool.Pool(at_once)
        for _ in pool.imap_unordered(lambda push: _deliver(backend, push), pushes):
            pass
        backend.close()
        report = Report(count, time.monotonic() - started, len(peer.received), peer.connections)
        _audit(report, peer, pushes)
        return report


def _a_push(number: int) -> Push:
    message = Message(
        request_id=uuid.uuid4(),
        title=f"Message {number}",
        body="Grüße 🚀 " * (number % 40),
        data={"number": number},
        options={"badge": number % 100, "sound": "default"},
        priority=("high", "normal", "low")[number % 3],
        collapse_key=f"key-{number}" if number % 2 else "",
        expires_at=EXPIRES_AT if number % 5 else None,
    )
    return Push(number, message, Target(delivery_id=uuid.uuid4(), address=f"{number:064x}"))


def _deliver(backend: APNsBackend, push: Push) -> None:
    for _ in range(MAX_ATTEMPTS):
        outcome = backend.push(push.message, push.target)
        push.outcomes.append(outcome)
        if not outcome.is_transient or outcome.kind is OutcomeClass.CONFIG:
            return
        gevent.sleep(0.01)


def _draw(rate: float, seed: int) -> Callable[[], Reply | None]:
    """Return what chooses a reply: often an error, and sometimes the end of the connection."""
    chance = random.Random(seed)
    err = errors(rate, ERRORS, seed)
    return lambda: chance.choice(ENDS) if chance.random() < END_RATE else err()


def _audit(report: Report, peer: Peer, pushes: list[Push]) -> None:
    answers = Answers(APNsBackend.answer_rows, provider=APNsBackend.provider_name)
    requests: dict[str, list[Received]] = defaultdict(list)
    for request in peer.received:
        requests[request.headers.get("apns-id", "")].append(request)
    if unknown := requests.keys() - {str(push.target.delivery_id) for push in pushes}:
        report.wrong.append(f"{len(unknown)} requests with an id that nobody sent")
    for push in pushes:
        last = push.outcomes[-1] if push.outcomes else None
        report.kinds[last.kind.value if last else "lost"] += 1
        if last is None or (last.is_transient and last.kind is not OutcomeClass.CONFIG):
            report.wrong.append(f"message {push.number} has no answer in the end")
            continue
        seen = requests[str(push.target.delivery_id)]
        for request in seen:
            _audit_request(report, push, request)
        said = seen[-1].reply if seen else None
        if not isinstance(said, Answer):
            report.wrong.append(f"message {push.number}: {last} without an answer")
        elif answers.row(said.status, said.reason).kind is not last.kind:
            report.wrong.append(f"message {push.number}: {said} became {last}")
        elif last.kind is not OutcomeClass.OK and last.code != said.reason:
            report.wrong.append(f"message {push.number}: {said} became {last.code}")


def _audit_request(report: Report, push: Push, request: Received) -> None:
    message, target = push.message, push.target
    headers: dict[str, Any] = {
        ":method": "POST",
        ":path": f"/3/device/{target.address}",
        "apns-topic": TOPIC,
        "apns-push-type": "alert",
        "apns-priority": "5" if message.priority == "low" else "10",
        "apns-collapse-id": message.collapse_key or str(target.delivery_id),
        "apns-expiration": str(int(EXPIRES_AT.timestamp())) if message.expires_at else None,
    }
    for name, value in headers.items():
        if request.headers.get(name) != value:
            report.wrong.append(f"message {push.number}: {name} is {request.headers.get(name)!r}")
    alert = {"title": message.title} | ({"body": message.body} if message.body else {})
    aps = {"alert": alert, "badge": push.number % 100, "sound": "default"}
    if request.json != {"aps": aps, "number": push.number}:
        report.wrong.append(f"message {push.number}: the payload is another one")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.apns_soak")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--errors", type=float, default=0.1, help="share of answers, from 0 to 1")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    report = soak(given.messages, rate=given.errors, seed=given.seed)
    print(report)
    for line in report.wrong[:20]:
        print(line, file=sys.stderr)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
