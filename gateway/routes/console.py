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

from gateway.access.auth import Scope
from gateway.access.sign_in import SignInCodes
from gateway.access.token_verifier import Unauthenticated
from gateway.http.body import read_body, read_json
from gateway.http.limits import Limits
from gateway.http.problems import BadRequest

PAGE = "index.html"
MODULES = "<!-- modules -->"
FILES = "/console/files/"
ASK_AGAIN, FOR_EVER = "no-cache", "public, max-age=31536000, immutable"

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
    edition = _digest("".join(file.tag for _, file in sorted(found.items())).encode())
    index = _index(found, edition)

    @get(["/console", "/console/{screen:path}"], opt={"scope": Scope.PUBLIC}, include_in_schema=False)
    async def page(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Every screen is a URL below the console, and all of them are this page."""
        return _send(request, index)

    @get("/console/files/{name:path}", opt={"scope": Scope.PUBLIC}, include_in_schema=False)
    async def file(request: Request[Any, Any, Any], name: FromPath[Path]) -> Response[bytes]:
        path = str(name).lstrip("/")
        wanted = found.get(path.removeprefix(f"{edition}/"))
        if wanted is None:
            raise BadRequest(404, "not-found", "there is no such file")
        return _send(request, wanted, FOR_EVER if path.startswith(edition) else ASK_AGAIN)

    return [page, file] if codes is None else [page, file, _sign_in_route(codes, limits)]


def _sign_in_route(codes: SignInCodes, limits: Limits) -> HTTPRouteHandler:
    @post("/console/sign-in", status_code=200, opt={"scope": Scope.PUBLIC}, include_in_schema=False)
    async def sign_in(request: Request[Any, Any, Any]) -> Response[SignedIn]:
        """Exchange a one-time code for a token."""
        body = await read_body(request.headers.get("Content-Length"), request.receive, limits)
        token = codes.redeem(read_json(SignIn, body).code)
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
    return File(body, media_type, f'"{_digest(body)}"')


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def _index(found: Mapping[str, File], edition: str) -> File:
    """The page. It names all scripts, because a browser that finds one in the other asks for one after the other.

    Their addresses have the edition in them, so that a browser keeps them and asks for those of another one.
    """
    links = (f'<link rel="modulepreload" href="{FILES}{name}">' for name in found if name.endswith(".js"))
    text = found[PAGE].body.decode().replace(MODULES, "\n    ".join(links))
    return _file(text.replace(FILES, f"{FILES}{edition}/").encode(), found[PAGE].media_type)


def _send(request: Request[Any, Any, Any], file: File, cache: str = ASK_AGAIN) -> Response[bytes]:
    headers: Mapping[str, str] = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "ETag": file.tag,
        "Cache-Control": cache,
    }
    if request.headers.get("If-None-Match") == file.tag:
        return Response(b"", status_code=304, media_type=file.media_type, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
