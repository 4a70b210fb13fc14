"""`/openapi.json`, and `/docs`: a page about it that needs no other server. The page's parts come from a wheel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.access.auth import Scope
from gateway.http.problems import NO_SUCH_ADDRESS, BadRequest

# The page sets styles on its elements; nothing else may come from anywhere but here.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_SCRIPT, _STYLE = "text/javascript", "text/css"


def docs_routes(document: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    """The description of the API, for programs and for people."""
    described = msgspec.json.encode(document)
    page = files("gateway").joinpath("docs/index.html").read_bytes()
    parts = _parts()
    public = {"opt": {"scope": Scope.PUBLIC}, "include_in_schema": False}

    @get("/openapi.json", **public)  # type: ignore[arg-type]
    async def openapi() -> Response[bytes]:
        return Response(described, media_type="application/vnd.oai.openapi+json")

    @get("/docs", **public)  # type: ignore[arg-type]
    async def docs() -> Response[bytes]:
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    @get("/docs/{part:str}", **public)  # type: ignore[arg-type]
    async def docs_part(part: FromPath[str]) -> Response[bytes]:
        if part not in parts:
            raise BadRequest(404, "not-found", NO_SUCH_ADDRESS)
        kind, content = parts[part]
        return Response(content, media_type=kind, headers={"Cache-Control": "public, max-age=3600"})

    return [openapi, docs, docs_part]


def _parts() -> Mapping[str, tuple[str, bytes]]:
    spec = find_spec("swagger_ui")
    assert spec is not None, "a dependency"  # noqa: S101
    assert spec.origin is not None, "a package with files"  # noqa: S101
    static = Path(spec.origin).parent / "static"
    return {
        "start.js": (_SCRIPT, files("gateway").joinpath("docs/start.js").read_bytes()),
        "swagger-ui-bundle.js": (_SCRIPT, (static / "swagger-ui-bundle.js").read_bytes()),
        "swagger-ui.css": (_STYLE, (static / "swagger-ui.css").read_bytes()),
    }
