"""Why a request got no answer, as a word.

===================  ===============================================================================
word                 what happened
===================  ===============================================================================
``unreachable``      no connection could be made
``connect_timeout``  no connection could be made in time
``tls_failed``       the TLS handshake failed
``bad_certificate``  the certificate is not trusted
``timeout``          no answer came in time; the request may have been sent
``connection_lost``  the connection ended before an answer
``bad_answer``       what came back is not HTTP
``goaway``           HTTP/2: the peer closes the connection and did not process the request
``refused_stream``   HTTP/2: the peer did not process the request
``stream_reset``     HTTP/2: the peer reset the stream before it answered
``proxy_refused``    the proxy refused our user name or password
``proxy_denied``     the proxy does not allow a connection to the peer
``proxy_failed``     the proxy made no connection to the peer
===================  ===============================================================================

After ``timeout``, ``connection_lost``, ``bad_answer`` and ``stream_reset`` the peer may have
processed the request all the same. What each of them means for a push is in
:data:`django_pushjobs.backends.http_answers.NO_ANSWER`.
"""

from __future__ import annotations

import ssl
from typing import Final

#: The word for which not the peer but our settings are to blame, whoever the peer is.
PROXY_REFUSED: Final = "proxy_refused"
_PROXY_FAILED: Final = "proxy_failed"
#: tinyproxy answers 401 to a wrong password, and 407 only if there is none.
_PROXY_WORDS: Final = {401: PROXY_REFUSED, 403: "proxy_denied", 407: PROXY_REFUSED}
#: What a proxy can say instead of the peer.
PROXY_WORDS: Final = frozenset({*_PROXY_WORDS.values(), _PROXY_FAILED})


def connect_failure(error: Exception) -> str:
    """Return the word for ``error``, with which making a connection ended."""
    match error:
        case ssl.SSLCertVerificationError():
            return "bad_certificate"
        case ssl.SSLError():
            return "tls_failed"
        case TimeoutError():
            return "connect_timeout"
        case ProxyFailed():
            return error.word
    return "unreachable"


class ConnectionLost(OSError):
    """A connection that had been made ended before an answer.

    :param sent: whether the peer may have received the request.
    :param begun: whether the answer had begun.
    """

    def __init__(self, *, sent: bool = True, begun: bool = False) -> None:
        super().__init__("the connection was lost")
        self.sent = sent
        self.begun = begun


class ProxyFailed(OSError):
    """A proxy made no connection.

    :param status: what it answered, or 0 if there was no answer.
    """

    def __init__(self, status: int = 0) -> None:
        super().__init__(f"the proxy answered {status}" if status else "the proxy gave no answer")
        self.word = _PROXY_WORDS.get(status, _PROXY_FAILED)
