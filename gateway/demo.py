"""The whole system at work: a service on a temporary directory, real commands, real queries, and what came of them."""

from __future__ import annotations

import asyncio
import time

from rich.console import Console
from rich.table import Table

from actors.domain.customer import CUSTOMER, Register, Rename
from actors.domain.order import AddLine
from actors.errors import Rejected
from actors.runtime.ray_actors import connect
from gateway.client import GatewayClient
from gateway.serve import Say, temporary_service

CUSTOMERS = 200


async def show(out: Console, say: Say) -> None:
    """Start a service, use it from Python and over HTTP, and print what happened."""
    async with temporary_service(say) as service, GatewayClient(service.url, service.token) as gateway:
        await _python(out)
        await _over_http(out, gateway)
        await _many(out, gateway)
        await _views(out, gateway)


async def _python(out: Console) -> None:
    out.rule("commands from Python")
    async with connect(by="demo") as client:
        alice = client.actor(CUSTOMER, "alice")
        receipt = await alice.execute(Register(name="Alice", email="alice@example.com", credit_limit=50_000))
        out.print(f"register → version {receipt.version}, {receipt.events[0]!r}", markup=False)
        renamed = await alice.execute(Rename(name="Alice Smith"), expected_version=receipt.version)
        again = await alice.execute(Rename(name="Alice Smith"), command_id=renamed.command_id)
        out.print(f"rename   → version {renamed.version}")
        out.print(f"the same → version {again.version}, replayed={again.replayed}")
        try:
            await alice.execute(Register(name="Alice", email="alice@example.com"))
        except Rejected as no:
            out.print(f"register → rejected: {no}")


async def _over_http(out: Console, gateway: GatewayClient) -> None:
    out.rule("commands over HTTP")
    order = gateway.order("order-1")
    lines = [AddLine(sku="CD-7", quantity=2, unit_price=1499)]
    created = await order.create(customer_id="alice", currency="USD", lines=lines)
    placed = await order.place()
    shipped = await order.ship()
    for command, receipt in (("create", created), ("place", placed), ("ship", shipped)):
        events = ", ".join(type(event).__name__ for event in receipt.events)
        out.print(f"POST /v1/orders/order-1/{command} → version {receipt.version}: {events}")
    shown = await gateway.get_order("order-1", after=shipped.token)
    out.print(f"GET /v1/orders/order-1 with the token of that receipt → {shown}", markup=False)


async def _many(out: Console, gateway: GatewayClient) -> None:
    out.rule(f"{CUSTOMERS} customers at once")
    began = time.perf_counter()
    await asyncio.gather(
        *(
            gateway.customer(f"c{number}").register(name=f"Customer {number}", email=f"c{number}@example.com")
            for number in range(CUSTOMERS)
        )
    )
    took_ms = (time.perf_counter() - began) * 1000
    out.print(f"{CUSTOMERS} answers in {took_ms:.0f} ms; each is durable")


async def _views(out: Console, gateway: GatewayClient) -> None:
    out.rule("views")
    token = (await gateway.customer("c0").deactivate(reason="to show the statistics")).token
    found = await gateway.get("/v1/customers", search="alice", after=token)
    table = Table("id", "name", "email", "status", "version", title="customers?search=alice")
    for item in found["items"]:
        table.add_row(item["id"], item["name"], item["email"], item["status"], str(item["version"]))
    out.print(table)
    counts = await gateway.get("/v1/statistics/customers", after=token)
    sales = await gateway.get("/v1/statistics/sales", by="day", after=token)
    out.print(f"statistics/customers → {counts}", markup=False)
    out.print(f"statistics/sales     → {sales}", markup=False)
