"""Callers over HTTP who remember every receipt, and the check that all of it was true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from gateway.client import GatewayClient
from gateway.remote.references import Receipt

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
class Shopper:
    """One who adds to an order of their own again and again: what is done twice is two lines in its history."""

    client: GatewayClient
    key: str
    acknowledged: Count
    receipts: list[tuple[UUID, Receipt[Any]]] = field(default_factory=list)

    async def work(self, stop: asyncio.Event) -> None:
        order = self.client.order(self.key)
        await order.create(customer_id="a", currency="USD", timeout=PATIENCE_S)
        while not stop.is_set():
            quantity, command_id = len(self.receipts) + 1, uuid4()
            receipt = await order.add_line(
                sku="cd", quantity=quantity, unit_price=1, command_id=command_id, timeout=PATIENCE_S
            )
            self.receipts.append((command_id, receipt))
            self.acknowledged.add()

    async def check(self) -> None:
        """Nothing acknowledged is lost or doubled, and a retry gets the same answer."""
        history, after = [], 1
        while after is not None:
            page = await self.client.get(f"/v1/orders/{self.key}/history", after_version=after, limit=200)
            history += [item["data"]["quantity"] for item in page["items"]]
            after = page["next_after_version"]
        assert history == [*range(1, len(self.receipts) + 1)]
        shown = await self.client.get_order(self.key, after=self.receipts[-1][1].token)
        assert shown["total"] == sum(history)
        quantity = len(self.receipts) // 2 + 1
        command_id, receipt = self.receipts[quantity - 1]
        again = await self.client.order(self.key).add_line(
            sku="cd", quantity=quantity, unit_price=1, command_id=command_id
        )
        assert (again.version, again.events, again.replayed) == (receipt.version, receipt.events, True)


@asynccontextmanager
async def shoppers(urls: Sequence[str], token: str, number: int) -> AsyncIterator[Count]:
    """So many at work until the block ends, each with connections of their own; then their receipts are checked."""
    stop, acknowledged, prefix = asyncio.Event(), Count(), uuid4().hex[:8]
    clients = [GatewayClient(urls, token) for _ in range(number)]
    made = [Shopper(client, f"{prefix}-{place}", acknowledged) for place, client in enumerate(clients)]
    async with asyncio.TaskGroup() as tasks:
        for each in made:
            tasks.create_task(each.work(stop))
        yield acknowledged
        stop.set()
    for each in made:
        await each.check()
    for client in clients:
        await client.__aexit__(None, None, None)
