"""The web console: its files, which are public, and the way in with a one-time code. Its data come from the API."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from pydantic import BaseModel, ConfigDict, Field

from gateway.auth import Scope
from gateway.body import read_body
from gateway.limits import Limits
from gateway.problems import BadRequest
from gateway.sign_in import SignInCodes
from gateway.token_verifier import Unauthenticated

PAGE = "index.html"
MODULES = "<!-- modules -->"

# Nothing but what this server sends, no code in the page, nothing around it, nowhere to send a form.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

_MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


class SignIn(BaseModel):
    """A one-time code of `rayleans serve` or `rayleans console`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: str = Field(max_length=200)


class SignedIn(BaseModel):
    """A token with all scopes, for some hours."""

    token: str


@dataclass(frozen=True, slots=True)
class File:
    """A file of the console, as it is sent."""

    body: bytes
    media_type: str
    tag: str


def console_routes(codes: SignInCodes | None, limits: Limits) -> Sequence[HTTPRouteHandler]:
    """The console.

    Args:
        codes: of the local key; None = whoever signs in brings a token of the identity provider.
    """
    found = dict(_read(files("gateway") / "console"))
    index = _with_modules(found)

    @get(["/console", "/console/{screen:path}"], opt={"scope": Scope.PUBLIC}, include_in_schema=False)
    async def page(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Every screen is a URL below the console, and all of them are this page."""
        return _send(request, index)

    @get("/console/files/{name:path}", opt={"scope": Scope.PUBLIC}, include_in_schema=False)
    async def file(request: Request[Any, Any, Any], name: FromPath[Path]) -> Response[bytes]:
        wanted = found.get(str(name).lstrip("/"))
        if wanted is None:
            raise BadRequest(404, "not-found", "there is no such file")
        return _send(request, wanted)

    return [page, file] if codes is None else [page, file, _sign_in_route(codes, limits)]


def _sign_in_route(codes: SignInCodes, limits: Limits) -> HTTPRouteHandler:
    @post("/console/sign-in", status_code=200, opt={"scope": Scope.PUBLIC}, include_in_schema=False)
    async def sign_in(request: Request[Any, Any, Any]) -> Response[SignedIn]:
        """Exchange a one-time code for a token."""
        body = await read_body(request.headers.get("Content-Length"), request.receive, limits)
        token = codes.redeem(SignIn.model_validate_json(body).code)
        if token is None:
            raise Unauthenticated("the code was used before or is too old; `rayleans console` makes another one")
        return Response(SignedIn(token=token), headers={"Cache-Control": "no-store"})

    return sign_in


def _read(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, File]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
        elif (media_type := _MEDIA_TYPES.get(Path(entry.name).suffix)) is not None:
            yield f"{prefix}{entry.name}", _file(entry.read_bytes(), media_type)


def _file(body: bytes, media_type: str) -> File:
    return File(body, media_type, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')


def _with_modules(found: Mapping[str, File]) -> File:
    """The page, which names all scripts: a browser that finds one in the other asks for them one after the other."""
    links = (f'<link rel="modulepreload" href="/console/files/{name}">' for name in found if name.endswith(".js"))
    page = found[PAGE]
    return _file(page.body.replace(MODULES.encode(), "\n    ".join(links).encode()), page.media_type)


def _send(request: Request[Any, Any, Any], file: File) -> Response[bytes]:
    headers: Mapping[str, str] = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "ETag": file.tag,
        "Cache-Control": "no-cache",
    }
    if request.headers.get("If-None-Match") == file.tag:
        return Response(b"", status_code=304, media_type=file.media_type, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
