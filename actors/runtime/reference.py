"""References to actors: what Python programs hold instead of the actors themselves."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from actors.domain.actor_id import check_key
from actors.domain.decider import Command, Decider, Event
from actors.domain.json_text import to_short_json
from actors.runtime.client import CommandSender
from actors.runtime.command_id import new_command_id
from actors.runtime.wire import CommandEnvelope, Done
from actors.store.token import TokenCodec

DEFAULT_TIMEOUT_S = 10.0

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)


class Receipt(msgspec.Struct, Generic[E], frozen=True, dict=True):
    """What a command led to; it is durable.

    Attributes:
        id: of the actor.
        version: of the actor after the command.
        command_id: retry with it to get this receipt again.
        replayed: an earlier delivery of the same command did it.
    """

    id: str
    version: int
    command_id: UUID
    replayed: bool
    _done: Done
    _decider: Decider[Any, E, Any]
    _tokens: TokenCodec

    @cached_property
    def events(self) -> tuple[E, ...]:
        """What the command appended, oldest first; empty when it was already true."""
        return tuple(self._decider.read_event(event.type, event.data) for event in self._done.events)

    @cached_property
    def token(self) -> str:
        """Give it to a query, and the answer has everything this receipt says."""
        return self._tokens.encode(self._done.marks)


class ActorRef(Generic[C, E]):
    """A reference to one actor. It costs nothing and is always valid: every actor always exists."""

    def __init__(self, sender: CommandSender, decider: Decider[C, E, Any], key: str, by: str) -> None:
        self._sender = sender
        self._decider = decider
        self._by = by
        self.key = key

    async def execute(
        self,
        command: C,
        *,
        expected_version: int | None = None,
        command_id: UUID | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,  # noqa: ASYNC109 - the contract's name, and it travels to the silo
    ) -> Receipt[E]:
        """Send a command and wait until it is durable.

        Retries by itself, under the same command id, until `timeout` seconds are over.

        Args:
            command: one of the commands of this kind of actor.
            expected_version: version that the actor must have, 0 = must not exist yet, None = any.
            command_id: of an earlier try, to get its receipt; made here when None.
            timeout: seconds.

        Raises:
            ActorsError: see `actors.errors`; each class says whether the command was written.
        """
        envelope = CommandEnvelope(
            category=self._decider.category,
            key=self.key,
            command=self._decider.name_of(command),
            data=to_short_json(command),
            command_id=command_id or new_command_id(),
            expected_version=expected_version,
            deadline=time.time() + timeout,
            by=self._by,
            request_id="",
        )
        done = await self._sender.submit(envelope)
        return Receipt(
            self.key,
            done.version,
            envelope.command_id,
            done.replayed,
            done,
            self._decider,
            self._sender.tokens,
        )


class ActorClient:
    """Hands out references to actors."""

    def __init__(self, sender: CommandSender, by: str) -> None:
        self._sender = sender
        self._by = by

    def actor(self, decider: Decider[C, E, Any], key: str) -> ActorRef[C, E]:
        """The actor `key` of a kind. Raises `ValueError` when `key` cannot be the id of an actor."""
        return ActorRef(self._sender, decider, check_key(key), self._by)
