"""SQL lives in `.sql` files; this reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_queries(package: str, *file_names: str) -> Mapping[str, str]:
    """The named queries of some files of a package's `sql` folder: name → statement.

    A query begins after a line `-- name: …` and ends with its semicolon before the next one.

    Raises:
        ValueError: two queries have one name.
    """
    queries: dict[str, str] = {}
    for file_name in file_names:
        _, *parts = _NAME.split(files(package).joinpath("sql", file_name).read_text())
        for name, statement in zip(parts[::2], parts[1::2], strict=True):
            if name in queries:
                raise ValueError(f"two queries are called {name}")
            queries[name] = statement.strip().removesuffix(";")
    return MappingProxyType(queries)


def load_migrations(package: str) -> Mapping[str, str]:
    """The migrations of a package, in the order in which they are applied: name → script."""
    folder = files(package).joinpath("sql", "migrations")
    scripts = sorted((script for script in folder.iterdir()), key=lambda script: script.name)
    return MappingProxyType({script.name.removesuffix(".sql"): script.read_text() for script in scripts})
