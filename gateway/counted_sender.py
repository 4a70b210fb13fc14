"""Sends commands, and counts what comes of them."""

from __future__ import annotations

from actors.errors import ActorsError
from actors.runtime.client import CommandSender
from actors.runtime.wire import CommandEnvelope, Done
from actors.store.token import TokenCodec
from gateway.http.problems import problem_of
from gateway.metrics import Metrics


class CountedSender:
    """A sender whose commands are counted."""

    def __init__(self, sender: CommandSender, metrics: Metrics) -> None:
        self._sender = sender
        self._metrics = metrics

    @property
    def tokens(self) -> TokenCodec:
        return self._sender.tokens

    async def meet(self, deadline: float) -> TokenCodec:
        return await self._sender.meet(deadline)

    async def submit(self, command: CommandEnvelope) -> Done:
        try:
            done = await self._sender.submit(command)
        except ActorsError as exc:
            self._metrics.command(command.category, command.command, problem_of(exc).code)
            raise
        self._metrics.command(command.category, command.command, "replayed" if done.replayed else "done")
        return done

    async def not_ready(self) -> list[str]:
        return await self._sender.not_ready()
