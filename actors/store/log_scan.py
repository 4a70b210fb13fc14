"""The whole log as it is at one moment, read through in an order, whatever its length."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Protocol

from actors.store.event_store import RecordedEvent


class Order(Enum):
    """In which order the log is read.

    POSITION: by partition and position.
    STREAM: by stream and version.
    COMMAND: by command id and ordinal; the texts `data`, `metadata` and `command` are left out.
    """

    POSITION = "position"
    STREAM = "stream"
    COMMAND = "command"


class LogScan(Protocol):
    """A log at one moment.

    Attributes:
        partitions: how many the store has.
        epochs: partition → ownership generation that the store has given out last.
        length: number of events.
    """

    @property
    def partitions(self) -> int: ...

    @property
    def epochs(self) -> Mapping[int, int]: ...

    @property
    def length(self) -> int: ...

    def events(self, order: Order) -> AsyncIterator[RecordedEvent]:
        """All events of that moment. Memory stays bounded.

        Raises:
            StoreUnavailable: the connection broke.
        """
        ...
