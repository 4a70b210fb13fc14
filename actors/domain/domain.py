"""What a service serves, as one value."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic.errors import PydanticUserError

from actors.domain.decider import AnyDecider
from actors.domain.operator_log import OPERATOR_LOG

RESERVED_CATEGORIES = ("gateway", "projection", "silo")


class View(Protocol):
    """A projection, as far as the write side needs to know."""

    @property
    def name(self) -> str: ...


class DomainError(Exception):
    """The domain that the service was told to serve cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Domain:
    """The kinds of actors and the views of one service.

    Raises:
        DomainError: two deciders share a category or collection, two projections share a name, a state cannot be
            kept as JSON, or a category is one of the `RESERVED_CATEGORIES`: `silo/0` is a part of the service.
    """

    deciders: Sequence[AnyDecider]
    projections: Sequence[View] = ()

    def __post_init__(self) -> None:
        for what, names in (
            ("category", [decider.category for decider in self.all_deciders]),
            ("collection", [decider.collection for decider in self.deciders]),
            ("projection", [projection.name for projection in self.projections]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise DomainError(f"two parts of the domain have the same {what}: {', '.join(twice)}")
        for decider in self.deciders:
            if decider.category in RESERVED_CATEGORIES:
                raise DomainError(f"a part of the service is called {decider.category!r}; name the category otherwise")
            try:
                _ = decider.state_schema
            except PydanticUserError as exc:
                raise DomainError(f"states or events of {decider.category!r} cannot be written as JSON: {exc}") from exc

    @property
    def all_deciders(self) -> Sequence[AnyDecider]:
        """What silos hold: the deciders of the domain, and one that every domain has and that is not for users."""
        return [*self.deciders, OPERATOR_LOG]

    def decider(self, category: str) -> AnyDecider | None:
        """The decider of a category of the domain, or None."""
        return next((decider for decider in self.deciders if decider.category == category), None)


def load_domain(path: str) -> Domain:
    """The domain that `module:attribute` names.

    Raises:
        DomainError: the path has another form, the module cannot be imported, or the attribute is no `Domain`.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise DomainError(f"RAYLEANS_DOMAIN is {path!r}; write it as module:attribute, for example shop.domain:SHOP")
    try:
        module = importlib.import_module(module_name)
    except ImportError as exc:
        raise DomainError(f"RAYLEANS_DOMAIN names module {module_name!r}, which cannot be imported: {exc}") from exc
    domain = getattr(module, attribute, None)
    if not isinstance(domain, Domain):
        raise DomainError(f"{module_name}.{attribute} is not a Domain; make it Domain(deciders=[…], projections=[…])")
    return domain
