"""Connections that only keep a service busy; they cost little here, as who measures shares the machine."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

PAUSE_S = 1.0


def hold(url: str, beginnings: Sequence[bytes]) -> float:
    """Open a connection for each beginning of a request, and send a byte a second behind it, each at its own time.

    Returns:
        How long the service bore the one that it bore longest, in seconds.
    """
    parts = urlsplit(url)
    opened: dict[socket.socket, float] = {}
    for beginning in beginnings:
        time.sleep(PAUSE_S / len(beginnings))
        connection = socket.create_connection((parts.hostname, parts.port))
        connection.sendall(beginning)
        opened[connection] = time.monotonic()
    longest_s = 0.0
    while opened:
        for connection in list(opened):
            time.sleep(PAUSE_S / len(beginnings))
            if not _takes_a_byte(connection):
                longest_s = max(longest_s, time.monotonic() - opened.pop(connection))
                connection.close()
    return longest_s


def _takes_a_byte(connection: socket.socket) -> bool:
    """Whether the other end has not closed it yet; what it answered before does not matter."""
    try:
        connection.send(b"x")
        while connection.recv(4096, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    return False
