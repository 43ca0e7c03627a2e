"""``python -m example_project``: start everything, show the demo, stay up until Ctrl-C.

Ends with 0 after the demo where there is no terminal, and with 1 if it does not add up.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import django
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from .demo import Demo
from .processes import ProcessError
from .screen import Screen
from .services import ROOT, Services
from .thirdparty import ApiError

QUEUE = "pushjobs"
#: What can go wrong with the surroundings, and is said in a sentence instead of a traceback.
FAILURES = (ProcessError, ApiError, DatabaseError, RedisError, ImproperlyConfigured, OSError)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m example_project", description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000, help="push requests to submit")
    parser.add_argument("--connections", type=int, default=8, help="of the third party")
    parser.add_argument("--latency-ms", type=float, default=50.0, help="of the gateway")
    parser.add_argument("--processes", type=int, default=2, help="of the worker")
    parser.add_argument("--concurrency", type=int, default=100, help="pushes a process at a time")
    parser.add_argument("--deadline", type=float, default=120.0, help="seconds for each phase")
    parser.add_argument("--port", type=int, help="of the web server; 8000 or a free one")
    return parser


def main() -> int:
    given = options().parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    os.environ.setdefault("VAR_DIR", str(ROOT / "var"))
    screen = Screen()
    with Services(Path(os.environ["VAR_DIR"])) as services:

        def leave(signum: int, frame: FrameType | None) -> NoReturn:
            # Noted as well: raised in the callback of a dying object, it would be lost.
            services.told_to_end = signum
            sys.exit(128 + signum)

        for signum in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, leave)
        try:
            return _run(given, services, screen)
        except FAILURES as error:
            screen.failure(str(error))
            return 1
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        finally:
            # From here on nothing may keep the services from being ended.
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(signum, signal.SIG_IGN)
            screen.farewell()


def _run(given: argparse.Namespace, services: Services, screen: Screen) -> int:
    screen.heading("Starting")
    if "REDIS_URL" in os.environ:
        screen.step("redis", "from REDIS_URL")
    else:
        os.environ["REDIS_URL"] = services.start_valkey()
        screen.step("valkey", os.environ["REDIS_URL"])
    gateway_url = services.start_gateway(given.latency_ms)
    os.environ["GATEWAY_URL"] = f"{gateway_url}/messages"
    screen.step("gateway", f"{gateway_url}, answers after {given.latency_ms:g} ms")

    django.setup()
    # These need the settings, and those the URLs from above.
    from .seeds import database, plant
    from .workers import listening

    seeds = plant()
    screen.step("database", database())
    web_url = services.start_web(port=given.port)
    screen.step("web server", web_url)
    services.start_worker(
        QUEUE,
        processes=given.processes,
        concurrency=given.concurrency,
        listening=listening(QUEUE),
    )
    screen.step(
        "worker", f"rqgeventworker, {given.processes} processes, {given.concurrency} pushes each"
    )

    demo = Demo(
        services=services,
        screen=screen,
        web_url=web_url,
        gateway_url=gateway_url,
        key=seeds.key,
        requests=given.requests,
        connections=given.connections,
        deadline=given.deadline,
    )
    report = demo.run()
    screen.report(report)
    if problems := list(report.problems()):
        screen.failure("It does not add up:")
        for problem in problems:
            screen.failure(problem)
        return 1
    screen.success("Everything adds up.")
    screen.links(web_url, gateway_url, seeds.key, seeds.login)
    if sys.stdin.isatty() and sys.stdout.isatty():
        _stay(services, screen)
    return 0


def _stay(services: Services, screen: Screen) -> None:
    """Return on Ctrl-C.

    :raises ProcessError: a service ended by itself.
    """
    try:
        screen.heading("Up until Ctrl-C.")
        while True:
            services.check()
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
