"""The providers of all backends at once; which answer a push gets is in its address.

By hand, ``python -m tests.support.answering DIRECTORY`` prints what senders have to know, as JSON.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from django_pushjobs.backends import vapid
from django_pushjobs.recipients import BaseResolver

from .answer_cases import BACKENDS, CASES, HOSTS, PROXY, Case
from .apns import Reply as APNsReply
from .apns import apns
from .fcm import FCM, tls
from .peers import Reply, Request, as_json, running
from .push_service import Browser, PushService, Received

#: Paths of authorization servers that issue no token, by the word for that.
_NO_TOKENS: Final = {
    "no_token": Reply(503),
    "bad_credentials": as_json(400, {"error": "invalid_grant", "error_description": "no"}),
}
_REPLIES: Final = {case.number: case.reply for case in CASES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """What senders have to know of the providers.

    :param ports: backend -> port of its provider, and word -> port of a server that leads to it.
    :param options: backend -> the OPTIONS that all its aliases have.
    :param browser: what all subscriptions have beside their endpoint.
    """

    ports: dict[str, int]
    options: dict[str, dict[str, Any]]
    browser: dict[str, Any] = field(default_factory=dict)

    def entry(self, case: Case, *, patience: float) -> dict[str, Any]:
        """Return an entry of ``BACKENDS`` for ``case``.

        :param patience: seconds until a case that is about time comes about.
        """
        word, options = case.row.answer, dict(self.options[case.backend])
        if word in ("timeout", "connect_timeout"):
            options[word] = patience
        if word in _NO_TOKENS:
            options["credentials"] = options["credentials"] | {
                "token_uri": f"{options['url']}/{word}"
            }
        elif word in PROXY:
            options["proxy"] = f"http://127.0.0.1:{self.ports[word]}"
        elif case.is_of_all:
            port = self.ports[word]
            elsewhere: dict[str, Any] = {"url": f"https://127.0.0.1:{port}"}
            options |= {"host": "127.0.0.1", "port": port} if case.backend == "apns" else elsewhere
        kind = BACKENDS[case.backend]
        return {"BACKEND": f"{kind.__module__}.{kind.__name__}", "OPTIONS": options}

    def address(self, case: Case, n: int, *, is_good: bool = False) -> str:
        """Return an address that meets ``case``, or a good one of the same kind.

        :param n: from 0; addresses with another number are others.
        """
        number = 0 if is_good else case.number
        match case.backend:
            case "apns":
                return f"{number:032x}{n:032x}"
            case "webpush":
                return self._subscription(case, number, n)
        return f"case-{number}-{n}"

    def recipient(self, case: Case, n: int, *, is_good: bool = False) -> str | dict[str, str]:
        """Return such an address as a request names it."""
        address = self.address(case, n, is_good=is_good)
        is_refused = not is_good and case.row.answer in ("bad_subscription", "forbidden_endpoint")
        return {"given": address} if is_refused else address

    def _subscription(self, case: Case, number: int, n: int) -> str:
        word = case.row.answer if number else ""
        if word == "bad_subscription":
            return f"{word}-{n}"
        port = self.ports.get(word, self.ports["webpush"])
        origin = f"https://{case.host}:{port}"
        if word == "forbidden_endpoint":
            origin = "https://10.0.0.1"
        elif word == "unresolvable":
            origin = f"https://nowhere.{case.host}"
        return json.dumps({"endpoint": f"{origin}/push/case-{number}-{n}", **self.browser})


class AsGiven(BaseResolver):
    """Recipients that are not checked when they are submitted, as those of old devices."""

    def resolve(self, values: Sequence[Any], *, backend: str) -> Iterable[str]:
        return values


#: Settings that lead to the providers.
SETTINGS: Final = {
    "INSECURE_DESTINATIONS": True,
    "RESOLVERS": {
        "address": {"RESOLVER": "django_pushjobs.recipients.AddressResolver"},
        "given": {"RESOLVER": f"{__name__}.{AsGiven.__name__}"},
    },
}


def lead_here(getaddrinfo: Any) -> Any:
    """Return a ``socket.getaddrinfo`` to which the hosts of all push services are this one."""

    def look_up(host: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(host, str) and host.startswith("nowhere."):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return getaddrinfo("127.0.0.1" if host in HOSTS else host, *arguments, **named)

    return look_up


def _reply_for(address: str) -> Reply | None:
    """Return what an address like ``…case-17-3`` asks for; None: the message is accepted."""
    reply = _REPLIES.get(int(address.rsplit("-", 2)[1]))
    assert reply is None or isinstance(reply, Reply)
    return reply


def _apns_reply_for(token: str) -> APNsReply | None:
    reply = _REPLIES.get(int(token[:32], 16))
    assert not isinstance(reply, Reply)
    return reply


def _gateway(request: Request) -> Reply:
    return _reply_for(request.json["to"]) or Reply(202)


class _FCM(FCM):
    """Has authorization servers beside its own that do not issue tokens."""

    def __call__(self, request: Request) -> Reply:
        self.messages.clear()  # nobody looks at them, and there are many
        return _NO_TOKENS.get(request.path[1:]) or super().__call__(request)


class _PushService(PushService):
    """One host, whose subscriptions are all those of one browser."""

    browser: Browser

    def browser_of(self, path: str) -> Browser:
        return self.browser


class _PushServices:
    """All hosts, at one port."""

    def __init__(self, browser: Browser) -> None:
        self._of = {}
        for host in HOSTS:
            service = _PushService(script=_what_its_path_asks_for, decrypts=False, host=host)
            service.browser = browser
            self._of[host] = service

    def __call__(self, request: Request) -> Reply:
        host, _, port = request.headers["host"].partition(":")
        service = self._of[host]
        service.port = int(port)
        service.received.clear()
        return service(request)


def _what_its_path_asks_for(received: Received) -> Reply | None:
    return _reply_for(received.path)


@contextmanager
def providers(directory: Path) -> Iterator[Providers]:
    """Run all of them in threads."""
    context, ca_file = tls(directory, *HOSTS)
    (directory / "strangers").mkdir()
    of_stranger, _ = tls(directory / "strangers", *HOSTS)
    browser = Browser("")
    account = _FCM(script=lambda message: _reply_for(message["token"]))
    with ExitStack() as stack:
        serve = stack.enter_context
        ports = {
            "http": serve(running(_gateway, tls=context)),
            "webpush": serve(running(_PushServices(browser), tls=context)),
            "fcm": serve(running(account, tls=context)),
            "bad_certificate": serve(running(_gateway, tls=of_stranger)),
            "tls_failed": serve(_listening(b"220 mail.example ESMTP\r\n")),
            "connect_timeout": serve(_listening(None)),
            "unreachable": _closed_port(),
            **{word: serve(_refusing(status)) for word, status in PROXY.items()},
        }
        account.port = ports["fcm"]
        apple = serve(apns(choose=_apns_reply_for, keep=False))
        common = {"ca_file": ca_file}
        yield Providers(
            ports=ports,
            options={
                "http": common | {"url": f"https://127.0.0.1:{ports['http']}/messages"},
                "webpush": common
                | {
                    "private_key": vapid.private_text(vapid.new_key()),
                    "subject": "mailto:push@example.org",
                },
                "fcm": common | {"credentials": account.credentials(), "url": account.url},
                "apns": apple.options,
            },
            browser={"keys": json.loads(browser.subscription(""))["keys"]},
        )


@contextmanager
def _listening(greeting: bytes | None) -> Iterator[int]:
    """Listen, and say what TLS does not understand, or accept nobody."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:

        def greet() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.sendall(greeting or b"")

        if greeting is not None:
            threading.Thread(target=greet, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def _refusing(status: int) -> Iterator[int]:
    """Be a forward proxy that connects nobody."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:

        def refuse() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.recv(4_096)
                        connection.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)

        threading.Thread(target=refuse, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.answering", description=__doc__)
    parser.add_argument("directory", type=Path)
    with providers(parser.parse_args().directory) as running_now:
        print(json.dumps(asdict(running_now)), flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
