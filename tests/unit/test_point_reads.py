from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from projections.errors import ViewsUnavailable
from projections.point_reads import MOST_KEYS, STATEMENTS_AT_ONCE, PointReads


class Table:
    """Rows that answer when they are told to."""

    def __init__(self) -> None:
        self.statements: list[list[str]] = []
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def fetch(self, keys: Sequence[str]) -> Mapping[str, str]:
        self.statements.append(list(keys))
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return {key: key.upper() for key in keys}


async def ask(reads: PointReads[str], *keys: str) -> list[asyncio.Task[str]]:
    """Questions that are all there, but perhaps not answered."""
    asked = [asyncio.create_task(reads.get(key)) for key in keys]
    for _ in range(3):
        await asyncio.wait(asked, timeout=0)
    return asked


async def test_questions_of_one_tick_share_a_statement() -> None:
    table = Table()
    table.go_on.set()
    answers = await asyncio.gather(*await ask(PointReads(table.fetch), "a", "b", "a"))

    assert (answers, table.statements) == (["A", "B", "A"], [["a", "b"]])


async def test_question_is_never_answered_by_a_statement_that_began_before_it() -> None:
    table = Table()
    reads = PointReads(table.fetch)
    asked = []
    for _ in range(STATEMENTS_AT_ONCE + 3):
        asked += await ask(reads, "a")
    table.go_on.set()

    assert await asyncio.gather(*asked) == ["A"] * (STATEMENTS_AT_ONCE + 3)
    assert table.statements == [["a"]] * (STATEMENTS_AT_ONCE + 1)


async def test_statement_has_a_largest_size() -> None:
    table = Table()
    table.go_on.set()
    await asyncio.gather(*await ask(PointReads(table.fetch), *(f"k{number}" for number in range(MOST_KEYS + 1))))

    assert [len(keys) for keys in table.statements] == [MOST_KEYS, 1]


async def test_error_is_told_to_everybody_and_the_next_question_is_asked_anew() -> None:
    table = Table()
    table.go_on.set()
    table.error = ViewsUnavailable("away")
    reads = PointReads(table.fetch)
    for task in await ask(reads, "a", "b"):
        with pytest.raises(ViewsUnavailable):
            await task
    table.error = None

    assert await reads.get("a") == "A"


async def test_one_who_leaves_takes_no_answer_from_the_others() -> None:
    table = Table()
    leaving, staying = await ask(PointReads(table.fetch), "a", "a")
    leaving.cancel()
    table.go_on.set()

    assert await staying == "A"
