"""Where the third party is called back: a server that accepts nothing without a valid signature."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError


class Receiver:
    """Runs in threads of this process while it is entered.

    ``statuses`` holds, by id, the status of each push request as a verified callback reported it.
    """

    def __init__(self) -> None:
        self.secret = ""
        self.statuses: dict[str, str] = {}
        self.refused = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/callbacks"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def receive(self, body: bytes, headers: dict[str, str]) -> str | None:
        """Note what a callback reports.

        :returns: the body of our answer; None if the callback is not signed with our secret.
        """
        try:
            event: Any = Webhook(self.secret).verify(body, headers)
        except (WebhookVerificationError, ValueError):
            self.refused += 1
            return None
        if event["type"].startswith("push.request."):
            self.statuses[event["data"]["id"]] = event["data"]["status"]
        return str(event["data"].get("challenge", ""))


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = receiver.receive(body, dict(self.headers))
            self.send_response(400 if reply is None else 200)
            self.send_header("Content-Length", str(len(reply or "")))
            self.end_headers()
            self.wfile.write((reply or "").encode())

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
