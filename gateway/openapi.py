"""The description of the API: made from the routes by the framework, completed with what the door and all routes share.

It is made by an app that serves nothing, so that the framework adds no routes of its own to ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from actors.domain.domain import Domain
from gateway.access.auth import Scope
from gateway.http.batch_line import BatchLine
from gateway.http.problems import MEDIA_TYPE
from gateway.routes.batch import MEDIA_TYPE as LINES
from gateway.routes.commands import component_name
from gateway.routes.stream import MEDIA_TYPE as MESSAGES

_PROBLEM = {"$ref": "#/components/schemas/ProblemReply"}
_DONE_LINE = {
    "allOf": [
        {"$ref": "#/components/schemas/CommandReply"},
        {"type": "object", "properties": {"status": {"const": 200}}, "required": ["status"]},
    ]
}
_OF_EVERY_ROUTE = (400, 414, 415, 421, 422, 431, 500, 503)
_BEHIND_THE_GUARD = (401, 403, 429)
_TEXT = {"type": "string"}
_EVERYWHERE = {"Request-Id": "of the request: its own if it had a sane one"}
_HEADERS_OF = {
    401: {"WWW-Authenticate": "what is wrong with the token (RFC 6750)"},
    403: {"WWW-Authenticate": "which scope is needed (RFC 6750)"},
    405: {"Allow": "the methods that there are"},
    429: {"Retry-After": "seconds to wait"},
    503: {"Retry-After": "seconds to wait; nothing was done"},
}
_RATE = {"RateLimit-Policy": "requests of one subject each second", "RateLimit": "how many of them are left"}
_OF_COMMANDS = {
    "ETag": "the version of the actor in quotes",
    "Consistency-Token": "for queries that must see this command",
    "Idempotency-Replayed": "true when an earlier delivery did it",
}
_OF_QUERIES = {
    "ETag": "the version in quotes, or a weak digest",
    "Consistency-Token": "for queries that must not be older than this answer",
}
_OF_FOLLOWERS = {"Last-Event-ID": "where the messages begin, for who loses the connection before the first one"}
_SENT_WITH_COMMANDS = {
    "Idempotency-Key": (r"^[\x21-\x7e]{1,255}$", "1 to 255 printable characters; a retry under it is done once"),
    "If-Match": (r'^"[0-9]{1,18}"$', "the version that the actor must have"),
    "If-None-Match": (r"^\*$", "the actor must not exist"),
    "Prefer": (".*", "`wait=5`: seconds that the caller will wait; anything else is ignored"),
}
_SENT_WITH_BATCHES = {"Prefer": _SENT_WITH_COMMANDS["Prefer"]}
_SENT_WITH_QUERIES = {
    "Consistency-Token": (r"^[A-Za-z0-9_-]+$", "of an earlier answer; this one will not be older"),
    "If-None-Match": (".*", "the ETag of an answer that the caller has"),
    "Prefer": (".*", "`wait=5`: seconds that the caller will wait for the view; anything else is ignored"),
}
_SENT_BY_FOLLOWERS = {"Last-Event-ID": (r"^[A-Za-z0-9_-]+$", "of the last message that came; go on after it")}


def describe(domain: Domain, routes: Sequence[HTTPRouteHandler]) -> dict[str, Any]:
    """The OpenAPI document of some routes."""
    bearer = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
    config = OpenAPIConfig(
        title="Rayleans",
        version=version("rayleans"),
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
    )
    document = Litestar(route_handlers=routes, openapi_config=config, logging_config=None).openapi_schema.to_schema()
    document["components"]["schemas"].update(_command_schemas(domain))
    scopes = {str(route.operation_id): Scope(route.opt["scope"]) for route in routes if route.operation_id}
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation, scopes[operation["operationId"]])
    _describe_streams(document)
    return document


def _describe_streams(document: dict[str, Any]) -> None:
    """What the framework cannot know: the lines of a batch, and the messages of the log as it is followed."""
    line = BatchLine.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"].update({**line.pop("$defs", {}), "BatchLine": line})
    lines = {"schema": {"$ref": "#/components/schemas/BatchLine"}}
    batch = document["paths"]["/v1/commands"]["post"]
    batch["requestBody"] = {"required": True, "content": {LINES: lines}}
    batch["responses"]["200"]["content"][LINES]["schema"] = {"oneOf": [_DONE_LINE, _PROBLEM]}
    followed = document["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]
    followed[MESSAGES]["schema"] = {"type": "object", "properties": {"id": _TEXT, "event": _TEXT, "data": _TEXT}}


def _complete(operation: dict[str, Any], scope: Scope) -> None:
    responses = operation["responses"]
    for status in _OF_EVERY_ROUTE + (() if scope is Scope.PUBLIC else _BEHIND_THE_GUARD):
        responses.setdefault(
            str(status),
            {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}},
        )
    sent, carried = _fields(operation, scope)
    if carried is _OF_QUERIES:
        responses["304"] = {"description": HTTPStatus.NOT_MODIFIED.phrase}
    for status, response in responses.items():
        fields = dict(_EVERYWHERE)
        if scope is not Scope.PUBLIC and status != "401":
            fields |= _RATE
        if status in {"200", "304"}:
            fields |= carried
        fields |= _HEADERS_OF.get(int(status), {})
        response["headers"] = {
            **response.get("headers", {}),
            **{name: {"description": text, "schema": _TEXT} for name, text in fields.items()},
        }
    operation.setdefault("parameters", []).extend(
        {"name": name, "in": "header", "description": text, "schema": {**_TEXT, "pattern": pattern}}
        for name, (pattern, text) in sent.items()
    )
    operation["description"] = _with_scope(operation, scope)
    if scope is Scope.PUBLIC:
        operation["security"] = []


def _fields(operation: dict[str, Any], scope: Scope) -> tuple[Mapping[str, tuple[str, str]], Mapping[str, str]]:
    """The header fields that an operation reads, and those of its answer, which are none of the framework's."""
    if MESSAGES in operation["responses"].get("200", {}).get("content", {}):
        return _SENT_BY_FOLLOWERS, _OF_FOLLOWERS
    if scope is Scope.QUERIES:
        return _SENT_WITH_QUERIES, _OF_QUERIES
    if scope is Scope.COMMANDS:
        return (_SENT_WITH_COMMANDS, _OF_COMMANDS) if "requestBody" in operation else (_SENT_WITH_BATCHES, {})
    return {}, {}


def _with_scope(operation: dict[str, Any], scope: Scope) -> str:
    needs = "Needs no token." if scope is Scope.PUBLIC else f"Needs the scope `{scope}`."
    return f"{operation['description']} {needs}" if "description" in operation else needs


def _command_schemas(domain: Domain) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for decider in domain.deciders:
        prefix = decider.category.capitalize()
        for model in decider.command_types.values():
            schema = model.model_json_schema(ref_template=f"#/components/schemas/{prefix}{{model}}")
            schemas.update({f"{prefix}{name}": part for name, part in schema.pop("$defs", {}).items()})
            schemas[component_name(decider, model)] = schema
    return schemas
