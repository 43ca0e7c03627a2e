"""Everything that is attacked, and everybody who takes part."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

import psycopg

from tests.chaos.servers import PostgreSQL, Valkey
from tests.support.apns import make_key
from tests.support.stack import ROOT, Stack
from tests.support.web import Web

from .caller import PUSH_REQUESTS, Caller
from .ledger import CANARY, Ledger

#: Submissions of the other client per second.
RATE = 20
WEB_PROCESSES = WORKER_PROCESSES = 2
#: How much less of the CPU than ours those get who are not on our machine.
NICE = 19

_MAKE = """
import json
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from django_pushjobs.models import ApiClient, ApiKey
def keys(name, **fields):
    live = ApiClient.objects.create(name=name, may_set_callback_url=True, **fields)
    def issue(client):
        return ApiKey.objects.issue(client, "attack", last_used_at=timezone.now())[1]
    return {"live": issue(live), "test": issue(live.for_tests())}
user = get_user_model().objects.create_user("mallory")
browser = Client()
browser.force_login(user)
made = {
    "mallory": keys("mallory"),
    "fuzz": keys("fuzz", max_unfinished=0, rate_limit=0),
    "victim": keys("victim"),
    "neighbour": keys("neighbour", max_unfinished=0, rate_limit=0),
    "session": browser.cookies["sessionid"].value,
}
print(json.dumps(made))
"""


class Stage:
    """Once it is entered, all is running, and the other client submits.

    :ivar submissions: of the other client: when they were sent (Unix time), the status of the
        answer, and the seconds that it took.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger()
        self.submissions: list[tuple[float, int, float]] = []
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with self._exits as exits:
            valkey = Valkey()
            exits.callback(valkey.close)
            postgres = PostgreSQL()
            exits.callback(postgres.close)
            self.http, self.https, self.http2 = self._peers(exits)
            environment = os.environ | {
                "DJANGO_SETTINGS_MODULE": "tests.attack.settings",
                "PYTHONPATH": str(ROOT),
                "DEBUG": "0",
                "SECRET_KEY": secrets.token_hex(),
                "VAR_DIR": str(self.folder),
                "LOG_LEVEL": "WARNING",
                "REDIS_URL": valkey.url,
                "DATABASE_URL": postgres.url,
                "ATTACK_CA_FILE": str(self.folder / "ca.pem"),
                "ATTACK_HTTP2_PORT": str(self.http2),
                "ATTACK_APNS_KEY": make_key(),
            }
            self.database_url = postgres.url
            self.stack = Stack(self.folder, environment)
            exits.callback(self.stack.close)
            migrated = self.stack.manage("migrate", "-v0")
            assert migrated.wait(60) == 0, migrated.output
            self.stack.gateway(20)
            made = json.loads(self.stack.run(_MAKE))
            self.web = Web(self.stack, f"--workers={WEB_PROCESSES}", name="harness")
            self.worker = self.stack.manage(
                "rqgeventworker", f"--processes={WORKER_PROCESSES}", LOG_LEVEL="INFO"
            )
            self.worker.says("is ready", times=WORKER_PROCESSES)
            self._take_part(made, exits)
            # All of ours are running; from here on, this process attacks.
            os.nice(NICE)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._exits.close()

    def _take_part(self, made: Any, exits: ExitStack) -> None:
        self._made = made
        for _ in range(10 * WEB_PROCESSES):
            # The first calls of a process load what they need.
            caller = self.caller("neighbour")
            caller.call("POST", PUSH_REQUESTS, {"recipients": ["first"], "title": "Hello"})
            caller.close()
        secret = made["neighbour"]["live"]
        lines = self._start(
            exits, "tests.attack.neighbour", self.web.address, secret, str(RATE), nice=0
        )
        threading.Thread(target=self._listen, args=(lines,), daemon=True).start()

    def caller(self, name: str, kind: str = "live") -> Caller:
        """Return a caller with the key of a client, and a connection of its own.

        :param name: ``mallory``, ``fuzz`` who has no limits, ``victim`` or ``neighbour``.
        :param kind: ``live`` or ``test``.
        """
        headers = {"Authorization": f"Bearer {self._made[name][kind]}"}
        return Caller(self.web.address, headers, self.ledger)

    def user(self) -> Caller:
        """Return a user of the site who is logged in."""
        token = secrets.token_hex(16)
        cookies = f"sessionid={self._made['session']}; csrftoken={token}"
        headers = {"Cookie": cookies, "X-CSRFToken": token}
        return Caller(self.web.address, headers, self.ledger)

    def _listen(self, lines: IO[str]) -> None:
        for line in lines:
            at, status, took = json.loads(line)
            self.submissions.append((at, status, took))

    def _peers(self, exits: ExitStack) -> list[int]:
        lines = self._start(exits, "tests.support.evil", str(self.folder / "ca.pem"))
        return [int(port) for port in lines.readline().split()]

    def _start(self, exits: ExitStack, *module: str, nice: int = NICE) -> IO[str]:
        """Start a program that is none of ours, and return its output."""
        popen = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.nice(nice) and None,
        )
        exits.callback(popen.wait)
        exits.callback(popen.kill)
        assert popen.stdout is not None
        return popen.stdout

    def pids(self) -> dict[str, list[int]]:
        """The processes that are attacked."""
        return {"web": self.web.program.children(), "worker": self.worker.children()}

    def pushes(self, begin: float, end: float) -> list[tuple[str, float | None]]:
        """Return the pushes of the other client that were accepted in that time (Unix time): their
        states, and the seconds until they were settled, None if they are not."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(
                "SELECT status, extract(epoch FROM finished_at - created_at)::float8"
                " FROM django_pushjobs_pushrequest WHERE reference LIKE %s"
                " AND created_at BETWEEN to_timestamp(%s) AND to_timestamp(%s)",
                (f"{CANARY}-%", begin, end),
            ).fetchall()
