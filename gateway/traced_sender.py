"""Sends commands, each in a span that begins its part of the trace."""

from __future__ import annotations

import msgspec

from actors import spans
from actors.errors import ActorsError
from actors.runtime.client import CommandSender
from actors.runtime.wire import CommandEnvelope, Done
from actors.store.token import TokenCodec
from gateway.http.problems import problem_of


def traced(sender: CommandSender) -> CommandSender:
    """The sender itself when nobody wants spans, so that then they cost nothing."""
    return TracedSender(sender) if spans.wanted() else sender


class TracedSender:
    """A sender whose commands are traced."""

    def __init__(self, sender: CommandSender) -> None:
        self._sender = sender

    @property
    def tokens(self) -> TokenCodec:
        return self._sender.tokens

    async def meet(self, deadline: float) -> TokenCodec:
        return await self._sender.meet(deadline)

    async def submit(self, command: CommandEnvelope) -> Done:
        what = {
            "rayleans.actor": command.category,
            "rayleans.command_id": str(command.command_id),
            "rayleans.request_id": command.request_id,
        }
        with spans.request_span(f"{command.command} {command.category}", command.traceparent, what) as span:
            try:
                done = await self._sender.submit(
                    msgspec.structs.replace(command, traceparent=spans.traceparent_of(span))
                )
            except ActorsError as exc:
                span.set_attribute("rayleans.outcome", problem_of(exc).code)
                raise
            span.set_attribute("rayleans.outcome", "replayed" if done.replayed else "done")
            return done

    async def not_ready(self) -> list[str]:
        return await self._sender.not_ready()
