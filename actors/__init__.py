"""The write side: virtual actors that decide commands and append events to a log.

`connect` is imported on first use, because it brings Ray with it and most of the package does not need Ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.runtime.ray_actors import connect

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    if name != "connect":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from actors.runtime.ray_actors import connect

    return connect
