"""How much of everything a gateway takes, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Each is for one gateway.

    Attributes:
        body: bytes of a command.
        address: bytes of path and query.
        head: bytes of all request headers.
        body_timeout_s: for a whole command, and for each line of a batch.
        waiting: requests that wait for the beginning of their answer; one more is refused at once.
        patience_s: whose body is waited for longer, all its pieces together, is slow, and no longer among those.
        slow: requests of slow senders; one more is refused.
        queries: of these, queries on views, so that a read database which hangs leaves room for commands.
        rate_per_s: requests of one subject, on average; as many again may come at once.
    """

    body: int = 1024 * 1024
    address: int = 8 * 1024
    head: int = 32 * 1024
    body_timeout_s: float = 10.0
    waiting: int = 1_024
    patience_s: float = 1.0
    slow: int = 1_024
    queries: int = 256
    rate_per_s: float = 10_000.0
