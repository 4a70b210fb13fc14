"""Commands from a file: JSON lines in the batch format of the API, or a table whose rows become such lines.

The file is checked whole before anything is sent. Every line has a command id, its own or one made from what it
says and how often it was said before, so that the same file can be sent again at any time: lines that were done
are only confirmed. Lines of one actor are done in the order of the file.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5
from zlib import crc32

import httpx
from pydantic import ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from gateway.http.batch_line import BatchLine
from gateway.remote.connection import UNAVAILABLE, USAGE, CommandLineError, problem
from gateway.remote.csv_rows import Mistake, Rows
from gateway.remote.errors import wrong_fields

_NAMESPACE = UUID("5f1d8d5e-7a0b-4f0a-9a86-0c4e2f4f4a56")
_CHUNK_LINES = 500
_LATER = {429, 503, 504}
_SHOWN_ERRORS = 10


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """A line that is ready to be sent; `number` counts from 1."""

    number: int
    actor: str
    body: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that the service did not accept."""

    line: int
    status: int
    code: str
    detail: str
    request_id: str


@dataclass(slots=True)
class ImportReport:
    """What became of the lines of a file."""

    done: int = 0
    replayed: int = 0
    refused: list[Refusal] = field(default_factory=list)


class Later(Exception):
    """Some lines were not done this time and may be sent again."""


def json_lines(path: Path) -> Rows:
    """The lines of a file that are not empty, with their numbers."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line.decode(errors="surrogateescape")


def check_file(path: Path, rows: Rows) -> int:
    """The number of commands in a file.

    Raises:
        CommandLineError: the file cannot be read, or lines of it are no commands; names the first of them.
    """
    wrong: list[str] = []
    count = 0
    try:
        for number, text in rows:
            count += 1
            wrong += _mistakes(number, text)
    except OSError as exc:
        raise CommandLineError(f"cannot read {path}: {exc.strerror}", USAGE) from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise CommandLineError(f"cannot read {path}: {exc}", USAGE) from exc
    if wrong:
        more = f"\n  … and {len(wrong) - _SHOWN_ERRORS} more" if len(wrong) > _SHOWN_ERRORS else ""
        listed = "\n  ".join(wrong[:_SHOWN_ERRORS])
        raise CommandLineError(f"{path} was not imported, nothing was sent:\n  {listed}{more}", USAGE)
    return count


def read_lines(rows: Rows) -> Iterator[NumberedLine]:
    """The commands of a checked file, each with its command id."""
    seen: Counter[bytes] = Counter()
    for number, text in rows:
        line = BatchLine.model_validate_json(text)
        said = line.model_dump_json(exclude={"command_id"})
        digest = hashlib.blake2b(said.encode(), digest_size=16).digest()
        seen[digest] += 1
        command_id = line.command_id or uuid5(_NAMESPACE, f"{seen[digest]}\n{said}")
        body = json.dumps({**line.model_dump(mode="json", exclude_none=True), "command_id": str(command_id)})
        yield NumberedLine(number, f"{line.actor}-{line.id}", body)


async def import_lines(
    http: httpx.AsyncClient,
    lines: Iterator[NumberedLine],
    *,
    concurrency: int,
    patience_s: float,
    progress: Callable[[int, int], None],
) -> ImportReport:
    """Send all lines and wait until each is done or refused.

    Args:
        concurrency: requests under way at once; lines of one actor always travel in the same one.
        patience_s: how long a request is tried again while the service cannot answer.
        progress: told how many more lines are finished, and how many were refused so far.

    Raises:
        CommandLineError: the service does not answer or does not let us in; says how far it got. What is done
            stays done; send the same file again.
    """
    report = ImportReport()
    queues: list[asyncio.Queue[list[NumberedLine] | None]] = [asyncio.Queue(maxsize=1) for _ in range(concurrency)]
    sender = _Sender(http, report, patience_s, progress)
    first: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            for queue in queues:
                tasks.create_task(sender.work(queue))
            await _spread(lines, queues)
    except* CommandLineError as failures:
        # Raised in here, it would come out in a group again.
        first = failures.exceptions[0]
    if isinstance(first, CommandLineError):
        raise _stopped(first, report)
    report.refused.sort(key=lambda refusal: refusal.line)
    return report


def _stopped(failure: CommandLineError, report: ImportReport) -> CommandLineError:
    """The failure, and how far the import got until then."""
    far = f"{report.done} done, {len(report.refused)} refused"
    message = f"{failure}\nthe import stopped there: {far}; send the same file again, and it goes on"
    return CommandLineError(message, failure.exit_code, failure.next_step)


async def _spread(lines: Iterator[NumberedLine], queues: Sequence[asyncio.Queue[list[NumberedLine] | None]]) -> None:
    chunks: list[list[NumberedLine]] = [[] for _ in queues]
    for line in lines:
        lane = crc32(line.actor.encode()) % len(queues)
        chunks[lane].append(line)
        if len(chunks[lane]) == _CHUNK_LINES:
            await queues[lane].put(chunks[lane])
            chunks[lane] = []
    for queue, chunk in zip(queues, chunks, strict=True):
        await queue.put(chunk)
        await queue.put(None)


class _Sender:
    def __init__(
        self, http: httpx.AsyncClient, report: ImportReport, patience_s: float, progress: Callable[[int, int], None]
    ) -> None:
        self._http = http
        self._report = report
        self._patience_s = patience_s
        self._progress = progress

    async def work(self, queue: asyncio.Queue[list[NumberedLine] | None]) -> None:
        while (chunk := await queue.get()) is not None:
            await self._insist(chunk)

    async def _insist(self, chunk: list[NumberedLine]) -> None:
        async def send() -> None:
            nonlocal chunk
            before = len(chunk)
            chunk = await self._send(chunk)
            self._progress(before - len(chunk), len(self._report.refused))
            if chunk:
                raise Later(f"{len(chunk)} commands, the first on line {chunk[0].number}")

        retrying = AsyncRetrying(
            retry=retry_if_exception_type((Later, httpx.TransportError)),
            wait=wait_random_exponential(multiplier=0.2, max=2.0),
            stop=stop_after_delay(self._patience_s),
            reraise=True,
        )
        try:
            await retrying(send)
        except (Later, httpx.TransportError) as exc:
            raise CommandLineError(
                f"gave up after {self._patience_s:.0f} s: {exc or type(exc).__name__}", UNAVAILABLE, "rayleans status"
            ) from exc

    async def _send(self, chunk: Sequence[NumberedLine]) -> list[NumberedLine]:
        """Send a chunk; returns the lines that must be sent again."""
        if not chunk:
            return []
        body = "\n".join(line.body for line in chunk) + "\n"
        response = await self._http.post("/v1/commands", content=body, headers={"Content-Type": "application/x-ndjson"})
        if response.status_code in _LATER:
            return list(chunk)
        if response.status_code != httpx.codes.OK:
            raise problem(response)
        answers = [json.loads(text) for text in response.text.splitlines()]
        if len(answers) != len(chunk):
            raise httpx.RemoteProtocolError(f"{len(answers)} answers to {len(chunk)} commands")
        return [line for line, answer in zip(chunk, answers, strict=True) if not self._settle(line, answer)]

    def _settle(self, line: NumberedLine, answer: dict[str, Any]) -> bool:
        status = answer["status"]
        if status in _LATER:
            return False
        if status == httpx.codes.OK:
            self._report.done += 1
            self._report.replayed += bool(answer["replayed"])
        else:
            code, detail, request = (answer.get(member, "") for member in ("code", "detail", "request_id"))
            wrong = "".join(f"; {each}" for each in wrong_fields(answer))
            self._report.refused.append(Refusal(line.number, status, code, f"{detail}{wrong}", request))
        return True


def _mistakes(number: int, text: str | Mistake) -> list[str]:
    if isinstance(text, Mistake):
        return [f"line {number}: {text}"]
    try:
        BatchLine.model_validate_json(text)
    except ValidationError as exc:
        return [
            f"line {number}: {'.'.join(str(part) for part in error['loc']) or 'the line'}: {error['msg']}"
            for error in exc.errors(include_url=False, include_input=False)
        ]
    return []
