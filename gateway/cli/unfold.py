"""Options that belong together are the fields of a dataclass, once, for every command that has them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Any


def unfold(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: in the place of a parameter that is a dataclass, an option for each field."""
    declared = inspect.signature(command, eval_str=True).parameters
    folded: dict[str, Any] = {name: each.annotation for name, each in declared.items() if is_dataclass(each.annotation)}
    fields = {name: _fields(dataclass) for name, dataclass in folded.items()}
    # All are given by name; a parameter without a default may stand behind one with.
    shown = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name in declared
        for each in fields.get(name, [declared[name]])
    ]

    @wraps(command)
    def with_options(**given: Any) -> None:
        parts = {
            name: dataclass(**{each.name: given.pop(each.name) for each in fields[name]})
            for name, dataclass in folded.items()
        }
        command(**given, **parts)

    # Where typer looks.
    with_options.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in shown}
    return with_options


def _fields(dataclass: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(dataclass, eval_str=True).parameters.values())
