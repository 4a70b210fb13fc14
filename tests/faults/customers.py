"""Customers of a real service under load: callers over HTTP, and the check of what they saw."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx

from actors.errors import (
    ActorsError,
    CommandIdReused,
    InvalidCommand,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
    WrongExpectedVersion,
)
from actors.runtime.wire import CommandEnvelope, Done, EventOut
from actors.store.embedded import EmbeddedPostgres
from actors.store.postgres import PostgresEventStore
from actors.store.postgres_scan import scan_log
from actors.store.token import TokenCodec
from projections.standard import STANDARD
from tests.acceptance.serving import Served, run
from tests.faults.checker import check
from tests.faults.history import History, callers
from tests.in_process import command

CALLERS = 16
CUSTOMERS = 10
# What gateways that are about to stop ask for.
RETRY_AFTER_S = 1.0
# The share of commands that name the version at which their caller knows the customer; others are often faster.
EXPECTING = 0.1

COMMANDS: list[tuple[str, dict[str, object]]] = [
    ("register", {"name": "Alice", "email": "alice@example.com"}),
    ("rename", {"name": "Alice"}),
    ("rename", {"name": "Alice Smith"}),
    ("change-credit-limit", {"credit_limit": 1}),
    ("change-credit-limit", {"credit_limit": 2}),
    ("deactivate", {"reason": "moved"}),
    ("reactivate", {}),
]


@dataclass
class Customers:
    """A service, and those who use it.

    Attributes:
        tokens: reads what the service signed.
        sent_away: commands to which a gateway said that it is about to stop, or for which there was none.
    """

    served: Served
    http: httpx.AsyncClient
    history: History
    prefix: str
    tokens: TokenCodec
    sent_away: set[UUID] = field(default_factory=set)

    def load(self, number: int = CALLERS, *, seed: int = 0) -> AbstractAsyncContextManager[None]:
        """Callers that send commands until the block ends."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        known: dict[str, int] = {}

        async def call(caller: int) -> None:
            name, data = chance.choice(COMMANDS)
            key = f"{self.prefix}{caller % CUSTOMERS}"
            expected = known.get(key) if chance.random() < EXPECTING else None
            envelope = command(name, json.dumps(data), key=key, category="customer", expected_version=expected)
            operation = await self.history.send(self.submit, envelope)
            if operation.done is not None:
                known[key] = operation.done.version
            if envelope.command_id in self.sent_away:
                await asyncio.sleep(RETRY_AFTER_S)

        return callers(call, number)

    async def submit(self, envelope: CommandEnvelope) -> Done:
        """Send one command, as a batch of one line, in which the caller chooses the command id."""
        line = {
            "actor": envelope.category,
            "id": envelope.key,
            "command": envelope.command,
            "data": json.loads(envelope.data),
            "command_id": str(envelope.command_id),
        }
        if envelope.expected_version is not None:
            line["expected_version"] = envelope.expected_version
        try:
            response = await self.http.post("/v1/commands", content=json.dumps(line))
            reply = json.loads(response.text)
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            self.sent_away.add(envelope.command_id)
            raise Unavailable(repr(exc)) from exc
        except (httpx.TransportError, ValueError) as exc:
            raise OutcomeUnknown(envelope.command_id, repr(exc)) from exc
        if "Retry-After" in response.headers:
            self.sent_away.add(envelope.command_id)
        if reply["status"] != httpx.codes.OK:
            raise _error(envelope, reply)
        events = tuple(EventOut(each["type"], each["version"], json.dumps(each["data"])) for each in reply["events"])
        ((partition, mark),) = self.tokens.decode(reply["token"]).items()
        return Done(reply["version"], events, partition, mark.position, reply["replayed"], mark.epoch)


def _error(envelope: CommandEnvelope, problem: dict[str, Any]) -> ActorsError:
    code, detail = problem["code"], problem["detail"]
    match problem["status"]:
        case 503:
            return (Overloaded if code == "overloaded" else Unavailable)(detail)
        case 504:
            return OutcomeUnknown(envelope.command_id, detail)
        case 412:
            return WrongExpectedVersion(envelope.key, envelope.expected_version or 0, problem["actual_version"])
        case 422 if code == "idempotency-key-reused":
            return CommandIdReused(envelope.command_id)
        case 422:
            return InvalidCommand(detail)
        case _:
            return Rejected(code, detail)


@asynccontextmanager
async def customers_of(served: Served) -> AsyncIterator[Customers]:
    """Customers of this test alone; when the block ends, their history is held against the log."""
    token = (served.data / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    url = EmbeddedPostgres(served.data).url("events")
    async with scan_log(url) as log:
        store = await PostgresEventStore.open(url, partitions=log.partitions)
    tokens = TokenCodec(store.info)
    await store.close()
    async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60.0) as http:
        customers = Customers(served, http, History(), f"c{uuid4().hex[:8]}-", tokens)
        yield customers
    async with scan_log(url) as log:
        problems = await check(customers.history, log, STANDARD.all_deciders)
    assert not problems, "\n".join(problems[:20])


def check_log_and_views(served: Served) -> None:
    """As its operators do: the log is as promised, and once the views have caught up they are what a replay gives."""
    for what in ("log", "views"):
        done = run("verify", what, "--data", str(served.data))
        assert done.returncode == 0, done.stdout + done.stderr
