"""Callers over HTTP who remember every receipt, and the check that all of it was true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from gateway.client import GatewayClient
from gateway.remote import Receipt

PATIENCE_S = 30.0


class Count:
    """Counts, and lets others wait for it."""

    def __init__(self) -> None:
        self.number = 0
        self._grown = asyncio.Event()

    def add(self) -> None:
        self.number += 1
        self._grown.set()

    async def more(self, number: int) -> None:
        """Wait until it is so many more than now."""
        goal = self.number + number
        async with asyncio.timeout(60):
            while self.number < goal:
                self._grown.clear()
                await self._grown.wait()


@dataclass
class Renamer:
    """One who renames a customer of their own again and again."""

    client: GatewayClient
    key: str
    acknowledged: Count
    receipts: list[tuple[str, UUID, Receipt[Any]]] = field(default_factory=list)

    async def work(self, stop: asyncio.Event) -> None:
        customer = self.client.customer(self.key)
        await customer.register(name="0", email="a@example.com", timeout=PATIENCE_S)
        while not stop.is_set():
            name, command_id = f"name {len(self.receipts) + 1}", uuid4()
            receipt = await customer.rename(name=name, command_id=command_id, timeout=PATIENCE_S)
            self.receipts.append((name, command_id, receipt))
            self.acknowledged.add()

    async def check(self) -> None:
        """Nothing acknowledged is lost or doubled, and a retry gets the same answer."""
        history, after = [], 1
        while after is not None:
            page = await self.client.get(f"/v1/customers/{self.key}/history", after_version=after, limit=200)
            history += [item["data"]["name"] for item in page["items"]]
            after = page["next_after_version"]
        assert history == [name for name, _, _ in self.receipts]
        name, command_id, receipt = self.receipts[len(self.receipts) // 2]
        again = await self.client.customer(self.key).rename(name=name, command_id=command_id)
        assert (again.version, again.events, again.replayed) == (receipt.version, receipt.events, True)


@asynccontextmanager
async def renamers(urls: Sequence[str], token: str, number: int) -> AsyncIterator[Count]:
    """So many at work until the block ends, each with connections of their own; then their receipts are checked."""
    stop, acknowledged, prefix = asyncio.Event(), Count(), uuid4().hex[:8]
    clients = [GatewayClient(urls, token) for _ in range(number)]
    made = [Renamer(client, f"{prefix}-{place}", acknowledged) for place, client in enumerate(clients)]
    async with asyncio.TaskGroup() as tasks:
        for each in made:
            tasks.create_task(each.work(stop))
        yield acknowledged
        stop.set()
    for each in made:
        await each.check()
    for client in clients:
        await client.__aexit__(None, None, None)
