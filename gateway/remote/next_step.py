"""What to try next, for every problem that a service can answer: one place for the whole command line."""

from __future__ import annotations

import re

_AGAIN = "the same again; what was done is not done twice"
_LESS = "the same again with less in it"
_HELP = "the same with --help"
_LOOK = "rayleans console, and look there for what it is about"
_WHERE = "rayleans status; a service of another release or domain has other addresses"

_BY_CODE = {
    "not-found": _WHERE,
    "customer-not-found": "rayleans console, and look for it among the customers",
    "order-not-found": "rayleans console, and look for it among the orders",
    "projection-not-found": "rayleans projections",
    "parked-event-not-found": "rayleans projections parked list {projection}",
    "not-possible": "rayleans projections show {projection}",
    "idempotency-key-reused": "the same again with another command_id, or without one",
}
_BY_STATUS = {
    400: _HELP,
    401: "rayleans token --subject NAME --scope SCOPE > FILE, and the same again with --token-file FILE",
    403: "rayleans token --subject NAME --scope SCOPE > FILE, and the same again with --token-file FILE",
    404: _LOOK,
    405: _WHERE,
    408: _AGAIN,
    409: _LOOK,
    412: _LOOK,
    413: _LESS,
    414: _LESS,
    415: _HELP,
    421: "the same again with another --url, or RAYLEANS_ALLOWED_HOSTS=NAME rayleans serve",
    422: _HELP,
    429: _AGAIN,
    431: _LESS,
    500: "rayleans doctor; what rayleans serve has said names the request",
    503: "rayleans status",
    504: _AGAIN,
}
_OF_ACTORS = "rayleans {kind} history {key}"
_PLACE = re.compile(r"/v1/(?:admin/projections/(?P<projection>[^/]+)|(?P<kind>customer|order)s/(?P<key>[^/]+))?")


def next_step(status: int, code: str, path: str = "") -> str:
    """A command, or what to change in the one that was tried; empty when the answer is none of a service.

    Args:
        path: that was asked for.
    """
    place = _PLACE.match(path)
    names = place.groupdict("NAME") if place else {"projection": "NAME"}
    step = _BY_CODE.get(code, _BY_STATUS.get(status, ""))
    if step is _LOOK and place and place["key"]:
        step = _OF_ACTORS
    return step.format_map(names)
