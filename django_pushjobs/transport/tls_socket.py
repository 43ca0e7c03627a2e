"""A TLS connection of which every byte is read by us."""

from __future__ import annotations

from contextlib import suppress
from ssl import (
    MemoryBIO,
    SSLContext,
    SSLEOFError,
    SSLError,
    SSLWantReadError,
    SSLZeroReturnError,
)
from typing import Any, Final

from gevent.socket import socket

from .pace import Pace

_BLOCK: Final = 16_384
#: Bytes of records that may come without a byte of data among them. An honest peer sends its
#: certificates, of which OpenSSL takes up to 100 KB, a few session tickets, and now and then an
#: update of its keys.
MAX_OVERHEAD: Final = 131_072


class TLSSocket(socket):
    """A connected socket of gevent, under TLS.

    If OpenSSL reads the socket itself, it handles session tickets and updates of keys (RFC 8446,
    section 4.6) until there is data. A peer that sends them for ever keeps it from ever returning,
    and with it the whole process. Here, it is given what we have read, at a :class:`.Pace`.

    One greenlet may read while another writes.

    :param sock: is detached.
    :param server_hostname: the name that the certificate must have.
    """

    def __init__(self, sock: socket, context: SSLContext, server_hostname: str) -> None:
        self._incoming, self._outgoing = MemoryBIO(), MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        self._overhead = 0
        self._is_flushing = self._is_over = False
        super().__init__(sock.family, sock.type, sock.proto, sock.detach())

    def do_handshake(self) -> None:
        """Agree with the peer on keys and the rest, and verify its certificate.

        :raises ssl.SSLError: they cannot agree, or the certificate is not trusted.
        """
        pace = Pace()
        while True:
            try:
                self._tls.do_handshake()
            except SSLWantReadError:
                self._flush()
                self._fill(pace)
            except SSLError:
                with suppress(OSError):
                    self._flush()  # the alert that says so
                raise
            else:
                self._flush()
                return

    def selected_alpn_protocol(self) -> str | None:
        return self._tls.selected_alpn_protocol()

    @property
    def unread(self) -> bool:
        """Whether something has come from the peer that nobody has read yet."""
        return bool(self._incoming.pending or self._tls.pending())

    def recv(self, size: int = _BLOCK, flags: int = 0) -> bytes:
        """Return at most ``size`` bytes, or b"" at the end, with a goodbye or without.

        :raises OSError: the connection is lost, or what comes is not TLS.
        """
        pace: Pace | None = None  # who wants data has one; here it is for what brings none
        if self._is_over:
            return b""
        if not self.unread:
            self._fill(pace)
        while True:
            try:
                data = self._tls.read(size)
            except SSLWantReadError:
                with suppress(OSError):
                    self._flush()  # the answer to an update of keys
                pace = pace or Pace()
                self._fill(pace)
                continue
            except (SSLZeroReturnError, SSLEOFError):
                data = b""
            self._overhead, self._is_over = 0, not data
            return data

    def send(self, data: Any, flags: int = 0, timeout: Any = None) -> int:
        """Send all of ``data``, and return its size.

        :raises OSError: none of it was sent.
        """
        self._tls.write(data)
        if self._is_flushing:
            return len(data)
        self._is_flushing = True
        try:
            records = self._outgoing.read()
            sent = super().send(records)
        finally:
            self._is_flushing = False
        if sent < len(records) or self._outgoing.pending:
            # If the rest fails, so will the next read.
            with suppress(OSError):
                self._flush(memoryview(records)[sent:])
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._tls.write(data)
        self._flush()

    def _flush(self, records: memoryview | bytes = b"") -> None:
        """Send the records that are ready. If another greenlet is at it, it sends these as well:
        their order counts."""
        if self._is_flushing:
            return
        self._is_flushing = True
        try:
            while records or (records := self._outgoing.read()):
                records = memoryview(records)[super().send(records) :]
        finally:
            self._is_flushing = False

    def _fill(self, pace: Pace | None) -> None:
        """Wait for bytes from the peer."""
        recv = super().recv
        data = pace.read(recv, _BLOCK) if pace else recv(_BLOCK)
        self._overhead += len(data)
        if self._overhead > MAX_OVERHEAD:
            raise ConnectionAbortedError("the peer sends records without data")
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
