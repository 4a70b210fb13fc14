"""Whether a server can listen where it is told to, or somebody else does."""

from __future__ import annotations

import socket


def why_not_listen(host: str, port: int, *, beside_ours: bool = False) -> OSError | None:
    """What keeps a server from listening there; None = nothing does.

    Args:
        beside_ours: whether gateways that listen there are no obstacle, as they are none for each other.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if beside_ours:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.bind((host, port))
    except OSError as exc:
        return exc
    return None
