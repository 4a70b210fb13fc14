"""What asyncpg raises when there is no connection, or when one breaks, in whatever moment."""

from __future__ import annotations

import asyncpg
from asyncpg.connect_utils import SessionAttribute

# Which of the hosts in an address: the one that takes writes. What a standby tells may be old.
SERVER = SessionAttribute.primary

# The last one: the server said good-bye, asyncpg waits for the end of the connection, and somebody uses it meanwhile.
DRIVER_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def told(error: BaseException) -> str:
    """One line for people about one of `DRIVER_ERRORS`."""
    reason = str(error) or type(error).__name__
    return f"PostgreSQL does not answer ({reason})" if isinstance(error, OSError | TimeoutError) else reason
