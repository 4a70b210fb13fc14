"""References to actors behind a gateway: the same verbs and errors as inside of the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypedDict, TypeVar, Unpack
from uuid import UUID

from actors.domain.actor_id import check_key
from actors.domain.customer import (
    CUSTOMER,
    ChangeCreditLimit,
    ChangeEmail,
    CustomerCommand,
    CustomerEvent,
    Deactivate,
    Reactivate,
    Register,
    Rename,
)
from actors.domain.decider import Command, Decider, Event
from actors.domain.order import (
    ORDER,
    AddLine,
    Cancel,
    Create,
    OrderCommand,
    OrderEvent,
    Place,
    RemoveLine,
    Ship,
)

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)


class How(TypedDict, total=False):
    """How a command is sent.

    Attributes:
        expected_version: version that the actor must have, 0 = must not exist yet; any by default.
        command_id: of an earlier try, to get its receipt.
        timeout: seconds to try, under the same key.
    """

    expected_version: int | None
    command_id: UUID | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Receipt(Generic[E]):
    """What a command led to; it is durable.

    Attributes:
        id: of the actor.
        version: of the actor after the command.
        events: what the command appended, oldest first; empty when it was already true.
        command_id: retry with it to get this receipt again. It was sent as the `Idempotency-Key`; the log has an id
            that the gateway made of it.
        replayed: an earlier delivery of the same command did it.
        token: give it to a query, and the answer has everything this receipt says.
    """

    id: str
    version: int
    events: tuple[E, ...]
    command_id: UUID
    replayed: bool
    token: str


class CommandPoster(Protocol):
    """Sends commands to a gateway until one is answered for good."""

    async def post(self, decider: Decider[Any, E, Any], key: str, command: Command, how: How) -> Receipt[E]:
        """Raises as `actors.errors` has it."""
        ...


class RemoteActor(Generic[C, E]):
    """A reference to one actor. It costs nothing and is always valid."""

    def __init__(self, poster: CommandPoster, decider: Decider[C, E, Any], key: str) -> None:
        self._poster = poster
        self._decider = decider
        self.key = check_key(key)

    async def execute(self, command: C, **how: Unpack[How]) -> Receipt[E]:
        """Send a command and wait until it is durable; retries by itself, under the same key.

        Raises:
            ActorsError: see `actors.errors`; each class says whether the command was written.
        """
        return await self._poster.post(self._decider, self.key, command, how)


class RemoteCustomer(RemoteActor[CustomerCommand, CustomerEvent]):
    """A customer, with its commands as verbs."""

    def __init__(self, poster: CommandPoster, key: str) -> None:
        super().__init__(poster, CUSTOMER, key)

    async def register(
        self, *, name: str, email: str, credit_limit: int | None = None, **how: Unpack[How]
    ) -> Receipt[CustomerEvent]:
        return await self.execute(Register(name=name, email=email, credit_limit=credit_limit), **how)

    async def rename(self, *, name: str, **how: Unpack[How]) -> Receipt[CustomerEvent]:
        return await self.execute(Rename(name=name), **how)

    async def change_email(self, *, email: str, **how: Unpack[How]) -> Receipt[CustomerEvent]:
        return await self.execute(ChangeEmail(email=email), **how)

    async def change_credit_limit(self, *, credit_limit: int | None, **how: Unpack[How]) -> Receipt[CustomerEvent]:
        return await self.execute(ChangeCreditLimit(credit_limit=credit_limit), **how)

    async def deactivate(self, *, reason: str, **how: Unpack[How]) -> Receipt[CustomerEvent]:
        return await self.execute(Deactivate(reason=reason), **how)

    async def reactivate(self, **how: Unpack[How]) -> Receipt[CustomerEvent]:
        return await self.execute(Reactivate(), **how)


class RemoteOrder(RemoteActor[OrderCommand, OrderEvent]):
    """An order, with its commands as verbs."""

    def __init__(self, poster: CommandPoster, key: str) -> None:
        super().__init__(poster, ORDER, key)

    async def create(
        self,
        *,
        customer_id: str,
        currency: str,
        lines: Sequence[AddLine] = (),
        ordered_at: datetime | None = None,
        **how: Unpack[How],
    ) -> Receipt[OrderEvent]:
        create = Create(customer_id=customer_id, currency=currency, lines=tuple(lines), ordered_at=ordered_at)
        return await self.execute(create, **how)

    async def add_line(self, *, sku: str, quantity: int, unit_price: int, **how: Unpack[How]) -> Receipt[OrderEvent]:
        return await self.execute(AddLine(sku=sku, quantity=quantity, unit_price=unit_price), **how)

    async def remove_line(self, *, sku: str, **how: Unpack[How]) -> Receipt[OrderEvent]:
        return await self.execute(RemoveLine(sku=sku), **how)

    async def place(self, **how: Unpack[How]) -> Receipt[OrderEvent]:
        return await self.execute(Place(), **how)

    async def cancel(self, *, reason: str, **how: Unpack[How]) -> Receipt[OrderEvent]:
        return await self.execute(Cancel(reason=reason), **how)

    async def ship(self, **how: Unpack[How]) -> Receipt[OrderEvent]:
        return await self.execute(Ship(), **how)
