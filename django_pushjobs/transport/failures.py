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
===================  ===============================================================================

After ``timeout``, ``connection_lost``, ``bad_answer`` and ``stream_reset`` the peer may have
processed the request all the same. What each of them means for a push is in
:data:`django_pushjobs.backends.http_answers.NO_ANSWER`.
"""

from __future__ import annotations

import ssl


def connect_failure(error: Exception) -> str:
    """Return the word for ``error``, with which making a connection ended."""
    match error:
        case ssl.SSLCertVerificationError():
            return "bad_certificate"
        case ssl.SSLError():
            return "tls_failed"
        case TimeoutError():
            return "connect_timeout"
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
