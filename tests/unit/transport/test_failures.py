"""The words for connections that could not be made."""

from __future__ import annotations

import socket
import ssl

import pytest

from django_pushjobs.backends.http_answers import HTTP2_NO_ANSWER, NO_ANSWER
from django_pushjobs.transport import failures


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ssl.SSLCertVerificationError("expired"), "bad_certificate"),
        (ssl.SSLError("wrong version number"), "tls_failed"),
        (TimeoutError(), "connect_timeout"),
        (ConnectionRefusedError(), "unreachable"),
        (ConnectionResetError(), "unreachable"),
        (socket.gaierror(-2, "Name or service not known"), "unreachable"),
        (failures.ProxyFailed(407), "proxy_refused"),
        (failures.ProxyFailed(401), "proxy_refused"),
        (failures.ProxyFailed(403), "proxy_denied"),
        (failures.ProxyFailed(502), "proxy_failed"),
        (failures.ProxyFailed(), "proxy_failed"),
    ],
)
def test_the_word_for_an_error(error: Exception, word: str) -> None:
    assert failures.connect_failure(error) == word


def test_every_word_has_a_meaning_and_is_documented() -> None:
    words = {row.answer for row in (*NO_ANSWER, *HTTP2_NO_ANSWER)}
    assert failures.__doc__ is not None
    documented = {line.split("``")[1] for line in failures.__doc__.splitlines() if line[:2] == "``"}
    assert words == documented
