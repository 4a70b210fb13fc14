"""Commands over HTTP: one route for each command of each decider, none written by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody
from litestar.params import FromPath

from actors.domain.actor_id import check_key
from actors.domain.decider import AnyDecider, Command
from actors.domain.domain import Domain
from actors.runtime.client import CommandSender
from actors.runtime.reply import Reply, reply_to
from actors.runtime.wire import CommandEnvelope
from gateway.access.auth import Scope
from gateway.http.body import check_json, read_body, read_json
from gateway.http.headers import command_id_of, expected_version_of, idempotency_key_of, wait_of
from gateway.http.limits import Limits
from gateway.http.origin import origin_of
from gateway.http.problems import BadRequest, invalid
from gateway.http.replies import CommandReply, problems

DEFAULT_WAIT_S = 10.0

_JSON = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


def command_routes(domain: Domain, sender: CommandSender, limits: Limits) -> Sequence[HTTPRouteHandler]:
    """A route for each command of the domain."""
    return [
        _route(sender, limits, decider, name, model)
        for decider in domain.deciders
        for name, model in decider.command_types.items()
    ]


def component_name(decider: AnyDecider, model: type[Command]) -> str:
    """What a command is called in the OpenAPI document."""
    return f"{decider.category.capitalize()}{model.__name__}"


def _route(
    sender: CommandSender, limits: Limits, decider: AnyDecider, name: str, model: type[Command]
) -> HTTPRouteHandler:
    body = RequestBody(
        content={
            "application/json": OpenAPIMediaType(
                schema=Reference(ref=f"#/components/schemas/{component_name(decider, model)}")
            )
        },
        required=any(field.is_required() for field in model.model_fields.values()),
    )

    @dataclass
    class CommandOperation(Operation):
        """Documents the body, which the handler reads by itself: strict models need the JSON, not its objects."""

        def __post_init__(self) -> None:
            self.request_body = body

    @post(
        f"/v1/{decider.collection}/{{actor_id:str}}/{name}",
        status_code=200,
        opt={"scope": Scope.COMMANDS, "direct": True},
        operation_class=CommandOperation,
        operation_id=f"{decider.category}-{name}",
        summary=f"{name} ({decider.category})",
        description=model.__doc__,
        tags=[decider.collection],
        responses=problems(404, 408, 409, 412, 413, 504),
    )
    async def command(request: Request[Any, Any, Any], actor_id: FromPath[str]) -> Response[CommandReply]:
        envelope = await _envelope(request, sender, limits, decider, actor_id, model)
        done = await sender.submit(envelope)
        return _answer(reply_to(envelope, done, sender))

    return command


async def _envelope(
    request: Request[Any, Any, Any],
    sender: CommandSender,
    limits: Limits,
    decider: AnyDecider,
    actor_id: str,
    model: type[Command],
) -> CommandEnvelope:
    key = checked_key(actor_id)
    origin = origin_of(request)
    body = await read_body(request.headers.get("Content-Length"), request.receive, limits) or b"{}"
    if body != b"{}" and _JSON.fullmatch(request.headers.get("Content-Type", "")) is None:
        raise BadRequest(415, "unsupported-media-type", "send the command as application/json")
    check_json(body)
    command = read_json(model, body)
    expected_version, idempotency_key = expected_version_of(request), idempotency_key_of(request)
    deadline = origin.received_at + wait_of(request, DEFAULT_WAIT_S)
    command_id = None
    if idempotency_key is not None:
        command_id = command_id_of(idempotency_key, origin.by, await sender.meet(deadline))
    return origin.envelope(
        decider, key, command, deadline=deadline, command_id=command_id, expected_version=expected_version
    )


def checked_key(actor_id: str) -> str:
    """An id from a path. Raises `BadRequest` when no actor can be called so."""
    try:
        return check_key(actor_id)
    except ValueError as exc:
        raise invalid(str(exc), "/id") from exc


def _answer(reply: Reply) -> Response[Any]:
    headers = {"ETag": f'"{reply.version}"', "Consistency-Token": reply.token}
    if reply.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(msgspec.json.encode(reply), media_type="application/json", headers=headers)
