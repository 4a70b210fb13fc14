"""Rows F4 and F5 of the fault matrix: a gateway is killed under load, and the whole service is stopped under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from gateway.client import GatewayClient
from gateway.remote import Receipt
from tests.acceptance import serving
from tests.acceptance.serving import Served

CALLERS = 24
BACK_WITHIN_S = 20.0


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
class Caller:
    """One who renames a customer of their own again and again, and remembers every receipt."""

    client: GatewayClient
    key: str
    acknowledged: Count
    receipts: list[tuple[str, UUID, Receipt[Any]]] = field(default_factory=list)

    async def work(self, stop: asyncio.Event) -> None:
        customer = self.client.customer(self.key)
        await customer.register(name="0", email="a@example.com", timeout=30)
        while not stop.is_set():
            name, command_id = f"name {len(self.receipts) + 1}", uuid4()
            receipt = await customer.rename(name=name, command_id=command_id, timeout=30)
            self.receipts.append((name, command_id, receipt))
            self.acknowledged.add()

    async def check(self) -> None:
        """Nothing acknowledged is lost or doubled, and a retry gets the same answer."""
        history: list[str] = []
        while page := await self.client.get(
            f"/v1/customers/{self.key}/history", after_version=len(history) + 1, limit=200
        ):
            history += [item["data"]["name"] for item in page["items"]]
            if page["next_after_version"] is None:
                break
        assert history == [name for name, _, _ in self.receipts]
        name, command_id, receipt = self.receipts[len(self.receipts) // 2]
        again = await self.client.customer(self.key).rename(name=name, command_id=command_id)
        assert (again.version, again.events, again.replayed) == (receipt.version, receipt.events, True)


@pytest.fixture(scope="module")
def served_by_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service with two gateways on one port."""
    service = serving.start(tmp_path_factory.mktemp("two") / "data", "--gateways", "2")
    service.wait_until_ready()
    yield service
    if service.process.poll() is None:
        assert service.stop() == 0


@asynccontextmanager
async def callers(served: Served, token: str) -> AsyncIterator[Count]:
    """Callers at work until the block ends; then what they were told is held against the log."""
    stop, acknowledged = asyncio.Event(), Count()
    prefix = uuid4().hex[:8]
    async with asyncio.TaskGroup() as tasks:
        clients = [GatewayClient(served.url, token) for _ in range(CALLERS)]
        made = [Caller(client, f"{prefix}-{number}", acknowledged) for number, client in enumerate(clients)]
        for caller in made:
            tasks.create_task(caller.work(stop))
        yield acknowledged
        stop.set()
    for caller in made:
        await caller.check()
    for client in clients:
        await client.__aexit__(None, None, None)


async def test_f4_gateway_killed_under_load_while_the_other_goes_on(served_by_two: Served) -> None:
    async with callers(served_by_two, served_by_two.token) as acknowledged:
        await acknowledged.more(300)
        for _ in range(2):
            victim = served_by_two.actors("Gateway")[0]
            victim.kill()
            victim.wait()
            await acknowledged.more(300)
            await gateways_answer(served_by_two, 2)
        await acknowledged.more(300)


async def gateways_answer(served: Served, number: int) -> None:
    """Wait until so many gateways are at work."""
    async with GatewayClient(served.url, served.token) as client, asyncio.timeout(BACK_WITHIN_S):
        while len((await client.get("/v1/admin/gateways"))["items"]) < number:
            pass


async def test_f5_service_stopped_under_load_leaves_nothing_unknown(served_by_two: Served) -> None:
    seen: set[str] = set()
    answered, prefix, stopped = Count(), uuid4().hex[:8], asyncio.Event()

    async def call(number: int) -> None:
        headers = {"Authorization": f"Bearer {served_by_two.token}"}
        async with httpx.AsyncClient(base_url=served_by_two.url, headers=headers, timeout=30.0) as http:
            for turn in range(1_000_000):
                path = f"/v1/customers/{prefix}-{number}-{turn}/register"
                try:
                    reply = await http.post(path, json={"name": "A", "email": "a@example.com"})
                except httpx.ConnectError:
                    return
                seen.add(str(reply.json().get("code", reply.status_code)))
                answered.add()
                if stopped.is_set() and reply.status_code != 200:
                    return

    work = [asyncio.create_task(call(number)) for number in range(CALLERS)]
    await answered.more(300)
    code = asyncio.create_task(asyncio.to_thread(served_by_two.stop))
    stopped.set()
    await asyncio.gather(*work)

    assert await code == 0
    assert seen <= {"200", "unavailable", "overloaded"}
