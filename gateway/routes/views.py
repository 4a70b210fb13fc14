"""Queries on the views of other domains: rows as their models have them, one by key or many in order of key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from pydantic import BaseModel

from gateway.access.auth import Scope
from gateway.http.problems import BadRequest
from gateway.http.replies import problems
from gateway.queries.answers import Answers, Limit
from projections.page import cut, read_cursor
from projections.projection import AnyProjection


class KeyCursor(msgspec.Struct, frozen=True, array_like=True, tag="key"):
    """Where a page by key ended."""

    key: str


class RowPage(BaseModel):
    """Some rows; `next_cursor` leads to those after them."""

    items: list[dict[str, Any]]
    next_cursor: str | None


def view_routes(answers: Answers, projections: Mapping[str, AnyProjection]) -> Sequence[HTTPRouteHandler]:
    """The routes for projections that have none of their own."""

    def find(name: str) -> AnyProjection:
        projection = projections.get(name)
        if projection is None:
            raise BadRequest(404, "view-not-found", f"there is no view {name}; /docs shows all there are")
        return projection

    @get("/v1/views/{projection:str}/{key:str}", **_documented("row", "one row of a view", 404))
    async def row(
        request: Request[Any, Any, Any], projection: FromPath[str], key: FromPath[str]
    ) -> Response[dict[str, Any]]:
        view = find(projection)
        seen = await answers.ask(request, view, partial(answers.views.get, view, key))
        if seen.value is None:
            nothing = BadRequest(404, f"{view.name}-not-found", f"the view {view.name} has no row {key}")
            raise answers.absent(nothing, seen.checkpoint)
        return answers.answer(request, seen.value, seen.checkpoint)

    @get("/v1/views/{projection:str}", **_documented("rows", "the rows of a view in order of key", 404))
    async def rows(
        request: Request[Any, Any, Any],
        projection: FromPath[str],
        limit: Limit = 50,
        cursor: FromQuery[str | None] = None,
    ) -> Response[RowPage]:
        view = find(projection)
        after = None if cursor is None else read_cursor(cursor, KeyCursor).key
        seen = await answers.ask(request, view, partial(answers.views.page, view, after=after, limit=limit + 1))
        page = cut(seen.value, limit, lambda row: KeyCursor(getattr(row, view.key)))
        return answers.answer(request, {"items": page.items, "next_cursor": page.next_cursor}, seen.checkpoint)

    return [row, rows]


def _documented(operation_id: str, summary: str, *statuses: int) -> dict[str, Any]:
    return {
        "opt": {"scope": Scope.QUERIES},
        "operation_id": operation_id,
        "summary": summary,
        "tags": ["views"],
        "responses": problems(*statuses),
    }
