"""A program that renames customers, in the Ray cluster of a service, until its input ends.

    python -m tests.acceptance.renaming PREFIX CUSTOMERS CALLERS

So many callers for each customer send one command after the other. Each line of its output is one acknowledged command:
`{"customer", "command_id", "version"}`. A command that is not acknowledged ends the program with an error.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from actors import connect
from actors.domain.customer import CUSTOMER, Register, Rename
from actors.runtime.command_id import new_command_id
from actors.runtime.reference import ActorRef

PATIENCE_S = 30.0


async def main(prefix: str, customers: int, callers: int) -> None:
    """Rename until stdin is closed."""
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with connect(by="renaming") as client:
        references = [client.actor(CUSTOMER, f"{prefix}{number}") for number in range(customers)]
        register = Register(name="x", email="x@example.com")
        await asyncio.gather(*(_send(customer, register) for customer in references))
        await asyncio.gather(*(_call(customer, ended) for customer in references for _ in range(callers)))


async def _call(customer: ActorRef[Any, Any], ended: asyncio.Task[str]) -> None:
    while not ended.done():
        await _send(customer, Rename(name=new_command_id().hex))


async def _send(customer: ActorRef[Any, Any], command: Register | Rename) -> None:
    command_id = new_command_id()
    receipt = await customer.execute(command, command_id=command_id, timeout=PATIENCE_S)
    acknowledged = {"customer": customer.key, "command_id": str(command_id), "version": receipt.version}
    sys.stdout.write(f"{json.dumps(acknowledged)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
