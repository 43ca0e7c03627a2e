"""Every backend of the package keeps the contract that we ask of others."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_pushjobs.backends import BasePushBackend, vapid
from django_pushjobs.backends.apns import APNsBackend
from django_pushjobs.backends.console import ConsoleBackend
from django_pushjobs.backends.dummy import DummyBackend
from django_pushjobs.backends.fcm import FCMBackend
from django_pushjobs.backends.http import HTTPBackend
from django_pushjobs.backends.locmem import LocMemBackend
from django_pushjobs.backends.sandbox import SandboxBackend
from django_pushjobs.backends.webpush import WebPushBackend
from django_pushjobs.testing import BackendContract, captured_pushes
from tests.support.apns import Peer, apns
from tests.support.fcm import FCM, fcm, tls
from tests.support.provider import Provider, provider
from tests.support.push_service import Browser, PushService, push_service


class TestConsoleBackend(BackendContract):
    def make(self, **options: object) -> BasePushBackend:
        return ConsoleBackend(alias="console", stream=io.StringIO(), **options)


class TestDummyBackend(BackendContract):
    def make(self, **options: object) -> BasePushBackend:
        return DummyBackend(alias="dummy", **options)


class TestLocMemBackend(BackendContract):
    @pytest.fixture(autouse=True)
    def outbox(self) -> Iterator[None]:
        with captured_pushes():
            yield

    def make(self, **options: object) -> BasePushBackend:
        return LocMemBackend(alias="locmem", max_payload=4_096, **options)


class TestSandboxBackend(BackendContract):
    address = "sandbox:ok"

    def make(self, **options: object) -> BasePushBackend:
        return SandboxBackend(alias="sandbox", **options)


class TestHTTPBackend(BackendContract):
    @pytest.fixture(autouse=True)
    def gateway(self) -> Iterator[Provider]:
        with provider() as self.provider:
            yield self.provider

    def make(self, **options: object) -> BasePushBackend:
        return HTTPBackend(alias="http", url=self.provider.url, max_payload=4_096, **options)

    def make_unreachable(self) -> BasePushBackend:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        return HTTPBackend(alias="http", url=f"http://127.0.0.1:{port}/")


class TestAPNsBackend(BackendContract):
    address = "ab" * 32

    @pytest.fixture(autouse=True)
    def apns(self) -> Iterator[Peer]:
        with apns() as self.peer:
            yield self.peer

    def make(self, **options: object) -> BasePushBackend:
        return APNsBackend(alias="apns", **self.peer.options, **options)

    def make_unreachable(self) -> BasePushBackend:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        return APNsBackend(alias="apns", **self.peer.options | {"port": port})


class TestFCMBackend(BackendContract):
    @pytest.fixture(autouse=True)
    def peer(self, tmp_path: Path) -> Iterator[FCM]:
        context, self.ca_file = tls(tmp_path)
        with fcm(context) as self.fcm:
            yield self.fcm

    def make(self, **options: object) -> BasePushBackend:
        options = {"credentials": self.fcm.credentials(), "url": self.fcm.url} | options
        return FCMBackend(alias="fcm", ca_file=self.ca_file, **options)

    def make_unreachable(self) -> BasePushBackend:
        return self.make(url="https://127.0.0.1:1")


class TestWebPushBackend(BackendContract):
    @pytest.fixture(autouse=True)
    def service(self, tmp_path: Path, settings: Any) -> Iterator[PushService]:
        settings.PUSHJOBS = settings.PUSHJOBS | {"INSECURE_DESTINATIONS": True}
        context, self.ca_file = tls(tmp_path)
        with push_service(context) as service:
            self.address = service.subscribe()
            yield service

    def make(self, **options: object) -> BasePushBackend:
        return WebPushBackend(
            alias="webpush",
            private_key=vapid.private_text(vapid.new_key()),
            subject="mailto:push@example.org",
            ca_file=self.ca_file,
            **options,
        )

    def make_unreachable(self) -> BasePushBackend:
        self.address = Browser("/push/1").subscription("https://127.0.0.1:1")
        return self.make()
