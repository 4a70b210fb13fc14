"""Ids of commands, in the order of time: so the index that holds them all grows at one end, and stays in memory."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7


def new_command_id() -> UUID:
    """An id that no other command has (RFC 9562, version 7)."""
    return uuid7()
