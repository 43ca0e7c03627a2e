"""A forward proxy that makes tunnels, checks who asks for them, and can be scripted to fail.

It runs in native threads on blocking sockets, like :mod:`.provider`, whose answers it takes.
"""

from __future__ import annotations

import base64
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from .provider import Answer, Hangup

Address = tuple[str, int]


@dataclass
class ForwardProxy:
    """What a test may set and look at.

    :param login: user name and password to ask for, or None to let everybody in.
    """

    port: int
    login: tuple[str, str] | None = None
    #: What the proxy's own name server knows: host -> address.
    names: dict[str, str] = field(default_factory=dict)
    #: Answers to the next requests; then tunnels are made.
    answers: deque[Answer] = field(default_factory=deque)
    #: The line and the headers of each request.
    requests: list[str] = field(default_factory=list)
    sockets: set[socket.socket] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def targets(self) -> list[str]:
        """Where tunnels were asked for, in order."""
        return [request.split(" ")[1] for request in self.requests]

    def url_for(self, user_info: str) -> str:
        return f"http://{user_info}@{self.address}"

    def serve(self, client: socket.socket) -> None:
        with suppress(OSError, Hangup), client:
            self.sockets.add(client)
            request = _head(client)
            self.requests.append(request)
            if self.answers:
                self.answers.popleft()(client)
                return
            method, target, _ = request.split("\r\n")[0].split(" ")
            if method != "CONNECT":
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
            elif not self.admits(request):
                challenge = b'Proxy-Authenticate: Basic realm="tests"\r\n'
                client.sendall(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n" + challenge + b"\r\n"
                )
            else:
                self.connect(client, target)

    def admits(self, request: str) -> bool:
        expected = base64.b64encode(":".join(self.login or ()).encode()).decode()
        return self.login is None or f"Proxy-Authorization: Basic {expected}\r\n" in request

    def connect(self, client: socket.socket, target: str) -> None:
        host, _, port = target.rpartition(":")
        host = host.strip("[]")
        try:
            server = socket.create_connection((self.names.get(host, host), int(port)), timeout=5)
        except OSError:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops")
            return
        server.settimeout(None)
        with server:
            self.sockets.add(server)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            _pass_on(client, server)
            back.join(10)


def _head(client: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        received = client.recv(1)
        if not received:
            raise Hangup
        head += received
    return head.decode("ascii")


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65_536):
            sink.sendall(received)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def forward_proxy(login: tuple[str, str] | None = None) -> Iterator[ForwardProxy]:
    """Run a proxy on a free port of the loopback interface."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    proxy = ForwardProxy(listener.getsockname()[1], login)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=proxy.serve, args=(client,), daemon=True).start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield proxy
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(10)
        for each in list(proxy.sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
