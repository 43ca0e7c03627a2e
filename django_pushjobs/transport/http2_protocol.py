"""h2's state machine for a client, adapted: it outlives a GOAWAY, and costs less per request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from hpack import Encoder

#: The most streams of a connection, whatever the peer allows.
MAX_STREAMS: Final = 1_000
#: Bytes; the most that the headers of an answer may have.
MAX_HEADERS: Final = 65_536


class Protocol(H2Connection):
    """The protocol of one connection of a client.

    What the peer sends is validated; what we send is made by ourselves, and is not.
    """

    def __init__(self) -> None:
        super().__init__(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.encoder = _PlainEncoder()
        self.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADERS,
            },
        )

    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[events.Event]]:
        # h2 takes a GOAWAY for the end of the connection. RFC 9113, section 6.8, lets the streams
        # up to its last id finish.
        event = events.ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        event.additional_data = frame.additional_data or None
        return [], [event]

    def _open_streams(self, remainder: int) -> int:
        # h2 counts the streams one by one at every request. Connection has counted them already.
        if len(self.streams) > 2 * MAX_STREAMS:
            super()._open_streams(remainder)
        return 0


class _PlainEncoder(Encoder):
    """Sends literals as they are: Huffman coding in Python costs more than the bytes it saves."""

    def encode(self, headers: Iterable[Any], huffman: bool = False) -> bytes:
        return super().encode(headers, huffman)
