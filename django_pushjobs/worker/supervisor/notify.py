"""Status messages to systemd for a service of Type=notify; does nothing elsewhere.

The protocol is in sd_notify(3): datagrams to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import os

# gevent replaces the class in ``socket`` with one that needs its event loop.
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM
from _socket import socket as native_socket


def notify(*messages: str) -> None:
    """Send ``READY=1``, ``STATUS=…``, ``WATCHDOG=1`` and the like."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    sender = native_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
    try:
        sender.sendto("\n".join(messages).encode(), address)
    except OSError:
        pass  # systemd is not reading any more; that must not stop the work
    finally:
        sender.close()
