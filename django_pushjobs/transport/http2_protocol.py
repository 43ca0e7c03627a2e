"""h2's state machine for a client, adapted: it outlives a GOAWAY, and costs less per request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Encoder
from hyperframe.exceptions import InvalidPaddingError
from hyperframe.frame import DataFrame

from .http2_allowance import Allowance, Flood

#: The most streams of a connection, whatever the peer allows.
MAX_STREAMS: Final = 1_000
#: Bytes; the most that the headers of an answer may have, as they are sent and decoded.
MAX_HEADERS: Final = 65_536
_SETTINGS: Final = frozenset(int(code) for code in SettingCodes)


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
        self.allowance = Allowance()
        self.encoder = _PlainEncoder()
        self.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADERS,
            },
        )

    def frames(self, data: bytes) -> Iterator[tuple[list[events.Event], int]]:
        """Handle the frames that ``data`` completes, and yield for each its events and its bytes
        that are neither padding nor DATA.

        ``receive_data()`` gives no event before it has handled all frames, and none at all if one
        of them is wrong: an answer would be lost because of what follows it.

        :raises ProtocolError: a frame is wrong.
        """
        frame: Any
        self.incoming_buffer.add_data(data)
        self.incoming_buffer.max_frame_size = self.max_inbound_frame_size
        try:
            for frame in self.incoming_buffer:
                # Of headers, all frames together have become one.
                size = max(frame.body_len, len(getattr(frame, "data", b"")))
                size = 0 if isinstance(frame, DataFrame) else size
                yield self._receive_frame(frame), size
        except InvalidPaddingError as error:
            self._terminate_connection(ErrorCodes.PROTOCOL_ERROR)
            raise ProtocolError("the padding is wrong") from error
        except ProtocolError as error:
            self._terminate_connection(error.error_code)
            raise

    def waste(self, size: int) -> None:
        """Take note of a frame that has brought no answer on.

        :raises ProtocolError: it is one too many, see :class:`.Allowance`.
        """
        try:
            self.allowance.spend(size)
        except Flood:
            self._terminate_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            raise DenialOfServiceError("too many frames bring no answer on") from None

    def _receive_headers_frame(self, frame: Any) -> tuple[list[Any], list[events.Event]]:
        # h2 limits the headers as they are decoded, and CONTINUATION frames by their number, so a
        # block may have a megabyte. Decoding it takes a second.
        if len(frame.data) > MAX_HEADERS:
            raise DenialOfServiceError("the headers are too long")
        return super()._receive_headers_frame(frame)

    def _receive_settings_frame(self, frame: Any) -> tuple[list[Any], list[events.Event]]:
        # RFC 9113, section 6.5.2: unknown ones are ignored. h2 stores them, for ever.
        known = frame.settings.keys() & _SETTINGS
        frame.settings = {code: frame.settings[code] for code in known}
        return super()._receive_settings_frame(frame)

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
