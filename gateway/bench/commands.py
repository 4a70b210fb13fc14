"""How many durable commands a second, and how long one takes: customers are registered, and renamed again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from actors.domain.customer import CUSTOMER, Register, Rename
from actors.domain.domain import Domain
from actors.runtime.ray_actors import connect
from actors.runtime.reference import ActorClient
from gateway.bench.cpu import CpuTime
from gateway.bench.crowd import write_crowd
from gateway.bench.load import Work, closed_loop
from gateway.bench.loads import CommandLoad, Switch
from gateway.bench.raw_limit import raw_inserts_per_s
from gateway.bench.report import Figure, Report
from gateway.serve import Say, temporary_service
from projections.standard import STANDARD

ALONE = 500
RAW_ROWS = 100_000

WRITE_SIDE = Domain(deciders=STANDARD.deciders)


async def bench_commands(load: CommandLoad, say: Say) -> Report:
    """Run the load against a service of its own in a temporary directory."""
    domain = "projections.standard:STANDARD" if load.projections is Switch.ON else "gateway.bench.commands:WRITE_SIDE"

    async def fill_log(events_url: str, partitions: int) -> None:
        say(f"writing {load.crowd} other customers with {load.crowd_events} events each")
        await write_crowd(events_url, partitions, load.crowd, load.crowd_events)

    filling = fill_log if load.crowd else None
    async with (
        temporary_service(say, domain=domain, silos=load.silos, placement=load.placement, fill_log=filling) as service,
        connect(by="bench") as client,
    ):
        say(f"registering {load.customers} customers")
        registered = await closed_loop(_registrations(client, load.customers), load.concurrency)
        say(f"sending {load.commands} commands")
        cpu = CpuTime(service)
        with cpu.counted():
            renamed = await closed_loop(_renames(client, load), load.concurrency)
        say(f"sending {ALONE} commands, one at a time")
        alone = await closed_loop(_renames(client, CommandLoad(load.customers, ALONE)), 1)
        say("inserting the same rows without the service")
        raw = await raw_inserts_per_s(service.databases.events_url, min(RAW_ROWS, load.commands))
    figures = [
        Figure("register, all asleep", registered.per_s, registered.latencies, registered.per_s / raw),
        Figure(
            "rename",
            renamed.per_s,
            renamed.latencies,
            renamed.per_s / raw,
            "P1: 20,000/s, 40 % of raw",
            cpu.each_us(renamed.done),
        ),
        Figure("rename, one at a time", alone.per_s, alone.latencies, target="P10: p50 < 6 ms"),
        Figure("raw inserts of these rows", raw),
    ]
    return Report("commands", asdict(load), figures)


def _registrations(client: ActorClient, customers: int) -> Iterator[Work]:
    for number in range(customers):
        command = Register(name=f"Customer {number}", email=f"c{number}@example.com")
        yield partial(client.actor(CUSTOMER, f"c{number}").execute, command)


def _renames(client: ActorClient, load: CommandLoad) -> Iterator[Work]:
    actors = [client.actor(CUSTOMER, f"c{number}") for number in range(load.customers)]
    for number in range(load.commands):
        command = Rename(name=f"Customer {number}, renamed")
        yield partial(actors[number % load.customers].execute, command)
