"""Many commands in one request: one on each line, answered one on each line, in order; neither side holds it all.

Commands for one actor are done in the order of their lines, those of different actors at the same time. When a
line could not be done now, later lines for the same actor are not tried: out of order they would mean something
else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as AsgiScope

from actors.domain.domain import Domain
from actors.errors import ActorsError, Unavailable
from actors.runtime.client import CommandSender
from actors.runtime.reply import Reply, reply_to
from actors.runtime.wire import CommandEnvelope
from gateway.access.auth import Scope
from gateway.http.batch_line import BatchLine
from gateway.http.body import LONGEST_LINE, check_json, read_json, read_lines
from gateway.http.headers import wait_of
from gateway.http.limits import Limits
from gateway.http.origin import Origin, origin_of
from gateway.http.pieces import send_pieces
from gateway.http.problems import BadRequest, invalid, problem_of
from gateway.http.replies import problems
from gateway.routes.commands import DEFAULT_WAIT_S

MEDIA_TYPE = "application/x-ndjson"
WINDOW = 512
_PASSING = {429, 503, 504}

Answer = dict[str, Any]


class DoneLine(Reply):
    """The answer to a line that is done."""

    status: int = 200


def batch_route(domain: Domain, sender: CommandSender, limits: Limits) -> HTTPRouteHandler:
    """The route that takes batches."""

    @post(
        "/v1/commands",
        status_code=200,
        opt={"scope": Scope.COMMANDS},
        operation_id="commands",
        summary="many commands, one on each line",
        tags=["commands"],
        media_type=MEDIA_TYPE,
        description="Empty lines are passed over. `Prefer: wait` holds for each line.",
        responses=problems(408),
    )
    async def commands(request: Request[Any, Any, Any]) -> ASGIApp:
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise BadRequest(415, "unsupported-media-type", f"send the commands as {MEDIA_TYPE}")
        batch = Batch(domain, sender, origin_of(request), wait_of(request, DEFAULT_WAIT_S))
        return answer_while_reading(batch, limits)

    return commands


def answer_while_reading(batch: Batch, limits: Limits) -> ASGIApp:
    """The answers as an app of their own: a stream of the framework would throw away what comes in meanwhile."""

    async def app(_: AsgiScope, receive: Receive, send: Send) -> None:
        answers = batch.answers(read_lines(receive, limits))
        with suppress(TimeoutError):
            await send_pieces(answers, [(b"content-type", MEDIA_TYPE.encode())], send)

    return app


class Batch:
    """The commands of one request.

    Args:
        wait_s: how long the caller will wait for each.
    """

    def __init__(self, domain: Domain, sender: CommandSender, origin: Origin, wait_s: float) -> None:
        self._domain = domain
        self._sender = sender
        self._origin = origin
        self._wait_s = wait_s
        self._last: dict[tuple[str, str], asyncio.Task[bytes]] = {}
        self._passing: set[tuple[str, str]] = set()

    async def answers(self, lines: AsyncIterator[bytes | None]) -> AsyncGenerator[bytes]:
        """The answer to each line, in order, as soon as it is there; at most `WINDOW` commands are under way."""
        under_way: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue(WINDOW)
        reading = asyncio.get_running_loop().create_task(self._read_all(lines, under_way))
        try:
            while (answer := await under_way.get()) is not None:
                yield await answer
            await reading
        finally:
            reading.cancel()

    async def _read_all(
        self, lines: AsyncIterator[bytes | None], under_way: asyncio.Queue[asyncio.Task[bytes] | None]
    ) -> None:
        try:
            async for line in lines:
                await under_way.put(self._begin(line))
        finally:
            await under_way.put(None)

    def _begin(self, line: bytes | None) -> asyncio.Task[bytes]:
        create_task = asyncio.get_running_loop().create_task
        try:
            parsed, envelope = self._read(line)
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with a line is the answer to that line
            return create_task(self._refuse(exc))
        actor = (parsed.actor, parsed.id)
        before = self._last.get(actor)
        task = create_task(self._run(actor, envelope, before))
        self._last[actor] = task
        task.add_done_callback(lambda done: self._last.pop(actor) if self._last.get(actor) is done else None)
        return task

    def _read(self, line: bytes | None) -> tuple[BatchLine, CommandEnvelope]:
        if line is None:
            raise BadRequest(413, "too-large", f"a line holds at most {LONGEST_LINE} bytes; send less in it")
        check_json(line)
        parsed = read_json(BatchLine, line)
        decider = self._domain.decider(parsed.actor)
        model = decider.command_types.get(parsed.command) if decider else None
        if decider is None or model is None:
            raise invalid(
                f"there is no command {parsed.command!r} for {parsed.actor!r}; /docs shows all there are", "/command"
            )
        command = read_json(model, msgspec.json.encode(parsed.data), at="/data")
        return parsed, self._origin.envelope(
            decider,
            parsed.id,
            command,
            deadline=0,
            command_id=parsed.command_id,
            expected_version=parsed.expected_version,
        )

    async def _run(
        self, actor: tuple[str, str], envelope: CommandEnvelope, before: asyncio.Task[bytes] | None
    ) -> bytes:
        if before is not None:
            await asyncio.wait([before])
        if actor in self._passing:
            return self._problem(Unavailable("an earlier line for the same actor could not be done"))
        envelope = msgspec.structs.replace(envelope, deadline=time.time() + self._wait_s)
        try:
            reply = reply_to(envelope, await self._sender.submit(envelope), self._sender)
        except ActorsError as exc:
            if problem_of(exc).status in _PASSING:
                self._passing.add(actor)
            return self._problem(exc)
        return msgspec.json.encode(DoneLine(**msgspec.structs.asdict(reply))) + b"\n"

    async def _refuse(self, error: Exception) -> bytes:
        return self._problem(error)

    def _problem(self, error: Exception) -> bytes:
        return msgspec.json.encode(problem_of(error).body(self._origin.request_id)) + b"\n"
