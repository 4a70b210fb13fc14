"""The whole system at work: a service on a temporary directory, real commands, real queries, and what came of them."""

from __future__ import annotations

import time
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from actors.domain.customer import CUSTOMER, Register, Rename
from actors.errors import Rejected
from actors.runtime.ray_actors import connect
from gateway.serve import Say, temporary_service

CUSTOMERS = 200


async def show(out: Console, say: Say) -> None:
    """Start a service, use it from Python and over HTTP, and print what happened."""
    async with temporary_service(say) as service:
        authorization = {"Authorization": f"Bearer {service.token}"}
        async with httpx.AsyncClient(base_url=service.url, headers=authorization) as http:
            await _python(out)
            await _over_http(out, http)
            await _many(out, http)
            await _views(out, http)


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


async def _over_http(out: Console, http: httpx.AsyncClient) -> None:
    out.rule("commands over HTTP")
    lines = [{"sku": "CD-7", "quantity": 2, "unit_price": 1499}]
    create = {"customer_id": "alice", "currency": "USD", "lines": lines}
    for command, body in (("create", create), ("place", {}), ("ship", {})):
        reply = await _post(http, f"/v1/orders/order-1/{command}", body)
        events = ", ".join(event["type"] for event in reply["events"])
        out.print(f"POST /v1/orders/order-1/{command} → version {reply['version']}: {events}")
    order = await _get(http, "/v1/orders/order-1", reply["token"])
    out.print(f"GET /v1/orders/order-1 with the token of that receipt → {order}", markup=False)


async def _many(out: Console, http: httpx.AsyncClient) -> None:
    out.rule(f"{CUSTOMERS} customers in one batch")
    body = "".join(
        f'{{"actor": "customer", "id": "c{n}", "command": "register", '
        f'"data": {{"name": "Customer {n}", "email": "c{n}@example.com"}}}}\n'
        for n in range(CUSTOMERS)
    )
    began = time.perf_counter()
    reply = await http.post("/v1/commands", content=body, headers={"Content-Type": "application/x-ndjson"})
    reply.raise_for_status()
    took_ms = (time.perf_counter() - began) * 1000
    out.print(f"{len(reply.text.splitlines())} answers in {took_ms:.0f} ms; each is durable")


async def _views(out: Console, http: httpx.AsyncClient) -> None:
    out.rule("views")
    token = (await _post(http, "/v1/customers/c0/deactivate", {"reason": "to show the statistics"}))["token"]
    found = await _get(http, "/v1/customers?search=alice", token)
    table = Table("id", "name", "email", "status", "version", title="customers?search=alice")
    for item in found["items"]:
        table.add_row(item["id"], item["name"], item["email"], item["status"], str(item["version"]))
    out.print(table)
    out.print(f"statistics/customers → {await _get(http, '/v1/statistics/customers', token)}", markup=False)
    out.print(f"statistics/sales     → {await _get(http, '/v1/statistics/sales?by=day', token)}", markup=False)


async def _post(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    reply = await http.post(path, json=body)
    reply.raise_for_status()
    return reply.json()


async def _get(http: httpx.AsyncClient, path: str, token: str) -> Any:
    reply = await http.get(path, headers={"Consistency-Token": token})
    reply.raise_for_status()
    return reply.json()
