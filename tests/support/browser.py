"""Headless Chromium, controlled over the DevTools protocol."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

from .waiting import eventually

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--remote-debugging-port=0", "--remote-allow-origins=*"),
]


def find_chromium() -> str | None:
    """Return the path of a browser on this machine, if any. ``CHROMIUM`` takes precedence."""
    given = os.environ.get("CHROMIUM")
    return given or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A connection to the browser. Every page and worker is a session on it."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, timeout=30)
        self._numbers = itertools.count(1)
        #: The events received so far, oldest first.
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def open(self, url: str, **cookies: str) -> Page:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network", "ServiceWorker"):
            page.call(f"{domain}.enable")
        for name, value in cookies.items():
            page.call("Network.setCookie", url=url, name=name, value=value)
        page.go(url)
        return page

    def close(self) -> None:
        self._socket.close()


class Page:
    def __init__(self, browser: Browser, session: str) -> None:
        self.browser = browser
        self.session = session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **params)

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        done = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait_for(self, expression: str, timeout: float = 30.0) -> Any:
        return eventually(lambda: self.evaluate(expression), timeout=timeout, what=expression)

    def events(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of the events ``method`` received so far."""
        mine = [e for e in self.browser.events if e.get("sessionId") == self.session]
        return [event["params"] for event in mine if event["method"] == method]

    def complaints(self) -> list[str]:
        """Return the errors and warnings in the console."""
        logged = [entry["entry"] for entry in self.events("Log.entryAdded")]
        said = [c for c in self.events("Runtime.consoleAPICalled") if c["type"] != "log"]
        return [
            *(f"{e['level']}: {e['text']}" for e in logged if e["level"] in ("error", "warning")),
            *(f"{call['type']}: {call['args']}" for call in said),
            *(str(thrown) for thrown in self.events("Runtime.exceptionThrown")),
        ]


def _port_and_path(file: Path) -> tuple[str, str] | None:
    port, _, path = file.read_text().partition("\n") if file.exists() else ("", "", "")
    return (port, path.strip()) if path.strip() else None


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start a browser with its own profile in ``folder``."""
    path = find_chromium()
    assert path is not None
    profile = folder / "profile"
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [path, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            env=os.environ | {"HOME": str(folder)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        # The browser writes its port and path here once it listens.
        file = profile / "DevToolsActivePort"
        port, way = eventually(
            lambda: _port_and_path(file),
            timeout=60,
            what="a browser that listens",
        )
        browser = Browser(f"ws://127.0.0.1:{port}{way}")
        try:
            yield browser
        finally:
            browser.close()
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
