"""What answers over HTTP mean unless a provider says otherwise, and what no answer means.

A backend of another package starts its own rows with these::

    answer_rows = (*NO_ANSWER, *STATUSES, Row("402", "", OutcomeClass.CONFIG, "https://…"))
"""

from __future__ import annotations

from typing import Final

from ..transport.failures import PROXY_REFUSED
from .answers import Row
from .outcomes import OutcomeClass, Scope

OK, RETRY, DROP, FAIL, CONFIG, THROTTLE, RECONNECT = OutcomeClass

#: Source of a row.
HTTP: Final = "RFC 9110, section 15"

#: A provider that everybody meets like this is away.
AWAY: Final = Scope.PROVIDER

#: The words of :mod:`django_pushjobs.transport.failures` for HTTP/1.1.
NO_ANSWER: Final = (
    Row(
        *("timeout", "", RETRY, HTTP, "{provider} did not answer in time"),
        unknown=True,
        about=AWAY,
    ),
    Row(
        *("connection_lost", "", RECONNECT, "RFC 9110, section 9.2.2"),
        "the connection was lost before {provider} answered",
        unknown=True,
        about=AWAY,
    ),
    Row(
        *("bad_answer", "", RECONNECT, "RFC 9112, section 8"),
        "the answer of {provider} is not HTTP, or was cut off",
        unknown=True,
        about=AWAY,
    ),
    Row(
        *("unreachable", "", RECONNECT, "RFC 9293", "{provider} could not be reached"),
        about=AWAY,
    ),
    Row(
        *("tls_failed", "", RECONNECT, "RFC 8446, section 6.2"),
        "{provider} could not be reached: the TLS handshake failed",
        code="unreachable",
        about=AWAY,
    ),
    Row(
        *("connect_timeout", "", RETRY, "RFC 9293", "{provider} could not be reached in time"),
        code="timeout",
        about=AWAY,
    ),
    Row(
        *("bad_certificate", "", CONFIG, "RFC 9110, section 4.3.4"),
        "the certificate of {provider} is not trusted",
    ),
    Row(
        *(PROXY_REFUSED, "", CONFIG, "RFC 9110, section 15.5.8"),
        "the proxy refused our user name or password",
    ),
    Row(
        *("proxy_denied", "", RECONNECT, "RFC 9110, section 9.3.6"),
        "the proxy does not allow connections to {provider}",
        about=AWAY,
    ),
    Row(
        *("proxy_failed", "", RECONNECT, "RFC 9110, section 9.3.6"),
        "the proxy made no connection to {provider}",
        about=AWAY,
    ),
)

#: The words that HTTP/2 adds.
HTTP2_NO_ANSWER: Final = (
    Row(
        *("goaway", "", RECONNECT, "RFC 9113, section 6.8"),
        "{provider} closed the connection and did not process the message",
        about=AWAY,
    ),
    Row(
        *("refused_stream", "", RECONNECT, "RFC 9113, section 8.7"),
        "{provider} did not process the message",
        about=AWAY,
    ),
    Row(
        *("stream_reset", "", RECONNECT, "RFC 9113, section 6.4"),
        "{provider} reset the stream before it answered",
        unknown=True,
        about=AWAY,
    ),
)

STATUSES: Final = (
    Row("2xx", "", OK, HTTP),
    Row("401", "", CONFIG, HTTP),
    Row("403", "", CONFIG, HTTP),
    # Client errors that say "not now" rather than "never". 408 is also sent on a kept-alive
    # connection that idled too long; 409 if the first request with an Idempotency-Key still runs.
    Row("408", "", RETRY, HTTP),
    Row("409", "", RETRY, "draft-ietf-httpapi-idempotency-key-header, section 2.6"),
    Row("425", "", RETRY, "RFC 8470"),
    Row("410", "", DROP, HTTP),
    Row("429", "", THROTTLE, "RFC 6585, section 4"),
    Row("5xx", "", RETRY, HTTP),
    Row("*", "", FAIL, HTTP),  # redirects too: they are not followed
)
