"""Sends commands to silos: many callers, few calls."""

from __future__ import annotations

from typing import Protocol

from actors.runtime.wire import CommandEnvelope, Done
from actors.store.token import TokenCodec


class CommandSender(Protocol):
    """Where commands go in; the gateway and the Python references use nothing else."""

    @property
    def tokens(self) -> TokenCodec: ...

    async def submit(self, command: CommandEnvelope) -> Done:
        """Send one command and wait for its outcome until the command's deadline.

        Retries by itself, under the same command id, whatever may pass.

        Raises:
            ActorsError: see `actors.errors`; each class says whether the command was written.
        """
        ...

    async def not_ready(self) -> list[str]:
        """Why commands cannot be taken at the moment, one sentence each; empty when they can."""
        ...
