"""A third party's receiver of callbacks as a separate process: it verifies and collects them.

``python -m tests.support.receiver`` prints its URL. ``GET /events`` returns the verified events in
the order of their arrival, and how many were refused. ``POST /secret`` sets the secret, and
``/slow`` never responds.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    secret = ""
    events: list[Any] = []  # noqa: RUF012  (of the process)
    refused = 0
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/secret":
            Receiver.secret = body.decode()
            return self.answer(204)
        if self.path == "/slow":
            time.sleep(600)
        try:
            event = Webhook(self.secret).verify(body, dict(self.headers))
        except WebhookVerificationError:
            Receiver.refused += 1
            return self.answer(400)
        if "challenge" in event["data"]:
            return self.answer(200, event["data"]["challenge"].encode())
        with self.lock:
            self.events.append([self.headers["webhook-id"], event])
        return self.answer(204)

    def do_GET(self) -> None:
        found = {"events": self.events, "refused": self.refused}
        self.answer(200, json.dumps(found).encode())

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
