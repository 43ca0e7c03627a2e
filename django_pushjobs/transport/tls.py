"""TLS for connections to providers and endpoints."""

from __future__ import annotations

from ssl import OP_NO_RENEGOTIATION, PROTOCOL_TLS_CLIENT, TLSVersion

from gevent.socket import socket
from gevent.ssl import SSLContext

from .tls_socket import TLSSocket


class _Context(SSLContext):
    """Makes a :class:`.TLSSocket` of a socket."""

    def wrap_socket(  # type: ignore[override]
        self, sock: socket, *, server_hostname: str, do_handshake_on_connect: bool
    ) -> TLSSocket:
        if do_handshake_on_connect:
            raise ValueError(
                "a TLSSocket is connected when it is made, and shakes hands when asked"
            )
        return TLSSocket(sock, self, server_hostname)


def tls_context(ca_file: str | None, *, http2: bool = False) -> SSLContext:
    """Return a context that verifies the certificate and the host name.

    Its sockets are gevent's, whether or not gevent has patched the process, and take whatever the
    peer sends in portions, see :class:`.TLSSocket`.

    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param http2: agree on HTTP/2 (RFC 9113, sections 3.2 and 9.2).
    :raises ValueError: ``ca_file`` cannot be read or contains no certificates.
    """
    context = _Context(PROTOCOL_TLS_CLIENT)
    context.options |= OP_NO_RENEGOTIATION
    if http2:
        context.minimum_version = TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
    if ca_file is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            raise ValueError(f"ca_file cannot be read: {error}") from error
    return context
