"""The gateway simulator of the example project as a process of its own."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[2]
#: Seconds until it listens, until it answers, and until it has ended.
DEADLINE = 30.0


class GatewayProcess:
    """Runs the simulator on a free port while it is entered::

        with GatewayProcess(latency_ms=200, errors="500:0.1") as gateway:
            push_to(gateway.messages_url)
            assert gateway.stats()["in_flight"] == 100

    Options are those of ``python -m example_project.gateway``, with underscores.
    """

    def __init__(self, **options: object) -> None:
        self._options = {"port": 0, "latency_ms": 0} | options
        self.url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "example_project.gateway"]
        for name, value in self._options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        self._popen = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._popen.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._popen.stdout, selectors.EVENT_READ)
            if selector.select(DEADLINE):
                self.url = self._popen.stdout.readline().strip()
        if not self.url:
            self.stop()
            raise RuntimeError("the gateway simulator did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and close its connections, as a gateway does that goes down."""
        self._popen.terminate()
        try:
            self._popen.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    @property
    def messages_url(self) -> str:
        """Where to push to."""
        return f"{self.url}/messages"

    def stats(self) -> dict[str, Any]:
        return self._call("/stats")

    def ids(self) -> dict[str, int]:
        """Every id it received -> how often it took a message with it."""
        return self._call("/ids")

    def requests(self) -> dict[str, int]:
        """Every request id it received -> how many distinct ids came with it."""
        return self._call("/requests")

    def control(self, **values: Any) -> dict[str, Any]:
        """Change how it answers: ``latency_ms``, ``jitter_ms``, ``errors``, ``retry_after``."""
        return self._call("/control", values)

    def reset(self) -> None:
        self._call("/reset", {})

    def _call(self, path: str, content: object = None) -> dict[str, Any]:
        body = None if content is None else json.dumps(content).encode()
        with urlopen(Request(self.url + path, body), timeout=DEADLINE) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
