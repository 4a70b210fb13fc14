"""Any port, for services that nobody has to find again."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

# Below those that kernels give to connections on their way out: such a one can be gone before the server listens there.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
