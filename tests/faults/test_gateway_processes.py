"""Row F4 of the fault matrix: the process of a gateway is killed under load, and the other one goes on."""

from __future__ import annotations

import asyncio

from gateway.client import GatewayClient
from tests.acceptance.serving import Served
from tests.faults.shoppers import shoppers

CALLERS = 24
BACK_WITHIN_S = 20.0


async def test_f4_gateway_killed_under_load_while_the_other_goes_on(served_elsewhere: Served) -> None:
    async with shoppers([served_elsewhere.url], served_elsewhere.token, CALLERS) as acknowledged:
        await acknowledged.more(300)
        for _ in range(2):
            victim = served_elsewhere.actors("Gateway")[0]
            victim.kill()
            victim.wait()
            await acknowledged.more(300)
            await gateways_answer(served_elsewhere, 2)
        await acknowledged.more(300)


async def gateways_answer(served: Served, number: int) -> None:
    """Wait until so many gateways are at work."""
    async with GatewayClient(served.url, served.token) as client, asyncio.timeout(BACK_WITHIN_S):
        while len((await client.get("/v1/admin/gateways"))["items"]) < number:
            pass
