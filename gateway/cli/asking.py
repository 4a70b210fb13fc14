"""Commands that ask a running service: how they find it, and how they print what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.cli.options import OutputOption, TokenFileOption, UrlOption
from gateway.cli.output import Output, run, show_items, show_record
from gateway.remote.connection import ask, open_gateway


@dataclass(frozen=True, slots=True)
class Asking:
    """A service as a command was told to find it, and how its answers are printed; see `unfold`."""

    url: UrlOption = None
    token_file: TokenFileOption = None
    output: OutputOption = Output.TABLE

    @property
    def for_people(self) -> bool:
        return self.output is Output.TABLE

    def open(self) -> httpx.AsyncClient:
        """See `open_gateway`."""
        return open_gateway(self.url, self.token_file)

    def ask(self, method: str, path: str, **sent: Any) -> Any:
        """The JSON that the service answers; ends the program when it answers with a problem."""

        async def once() -> Any:
            async with self.open() as http:
                return await ask(http, method, path, **sent)

        return run(once())

    def show_record(self, record: Mapping[str, Any]) -> None:
        """Print one thing."""
        show_record(self.output, record)

    def show_items(self, items: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Print many things; a table has some of their fields."""
        show_items(self.output, items, columns)
