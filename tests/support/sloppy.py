"""Answers that mean 2xx, from gateways that do not follow RFC 9112 to the letter."""

from __future__ import annotations

from typing import Final

#: What follows "HTTP/1.1 ".
SLOPPY: Final = (
    b"204 No Content\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"204 No Content\r\nContent-Type: application/json\r\n\r\n{}",
    b"202 Accepted\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"202 Accepted\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n",
    b"200 OK\r\nContent-Length: -1\r\n\r\n{}",
    b"200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    b"200 OK\r\nContent-Length: 2\r\n\r\n{}{}",
    b"200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    b"200 OK\r\nnot a header\r\nContent-Length: 0\r\n\r\n",
    b"200 OK\r\nX-No-CR: 1\nContent-Length: 0\r\n\r\n",
)
