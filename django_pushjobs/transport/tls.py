"""TLS for connections to providers and endpoints."""

from __future__ import annotations

from ssl import PROTOCOL_TLS_CLIENT, TLSVersion

from gevent.ssl import SSLContext


def tls_context(ca_file: str | None, *, http2: bool = False) -> SSLContext:
    """Return a context that verifies the certificate and the host name.

    It is gevent's own class: unless gevent has patched the process, sockets of
    ``ssl.create_default_context()`` block the whole thread.

    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param http2: agree on HTTP/2 (RFC 9113, sections 3.2 and 9.2).
    :raises ValueError: ``ca_file`` cannot be read or contains no certificates.
    """
    context = SSLContext(PROTOCOL_TLS_CLIENT)
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
