"""A log that is full already: other customers, with a history each, before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from actors.domain.customer import CUSTOMER, CustomerRegistered, CustomerRenamed, Register, Rename
from actors.domain.decider import Command, Event
from actors.runtime.command_id import new_command_id
from actors.runtime.turn import text_of
from actors.store.event_store import NewEvent, partition_of, stream_name
from actors.store.postgres import PostgresEventStore

ROWS_PER_STATEMENT = 2_000
_METADATA = '{"by":"bench","request_id":"","silo":"bench"}'


async def write_crowd(events_url: str, partitions: int, customers: int, events_each: int, name: str = "crowd") -> None:
    """Append the histories of so many customers through the store, as a silo would, all first events first.

    They are called `crowd-0`, `crowd-1` and so on, or by another `name`.
    """
    store = await PostgresEventStore.open(events_url, partitions=partitions)
    session = await store.take_over("bench", range(partitions), 0)
    events = _events(partitions, customers, events_each, name)
    while batch := list(islice(events, ROWS_PER_STATEMENT)):
        await session.append(batch)
    await store.close()


def _events(partitions: int, customers: int, events_each: int, name: str) -> Iterator[NewEvent]:
    for version in range(1, events_each + 1):
        for number in range(customers):
            stream = stream_name(CUSTOMER.category, f"{name}-{number}")
            yield _event(partition_of(stream, partitions), stream, version, number)


def _event(partition: int, stream: str, version: int, number: int) -> NewEvent:
    name, email = f"Crowd {number}", f"crowd{number}@example.com"
    command: Command
    event: Event
    if version == 1:
        command, event = Register(name=name, email=email), CustomerRegistered(name=name, email=email, credit_limit=None)
    else:
        command, event = Rename(name=f"{name}, {version}"), CustomerRenamed(name=f"{name}, {version}")
    return NewEvent(
        partition=partition,
        stream=stream,
        version=version,
        type=CUSTOMER.name_of(event),
        data=event.model_dump_json(),
        metadata=_METADATA,
        command_id=new_command_id(),
        ordinal=0,
        command=text_of(CUSTOMER.name_of(command), command),
    )
