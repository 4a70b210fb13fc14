"""Which part of the log a runner works on, when several share a projection."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Share(msgspec.Struct, frozen=True):
    """One of `of` parts of the partitions: `index`, `index + of`, `index + 2 * of`, …

    Attributes:
        index: from 0. The first one also looks after versions that are built anew.
        of: how many parts there are.
    """

    index: int = 0
    of: int = 1

    def partitions(self, total: int) -> Sequence[int]:
        """Those of this part."""
        return range(self.index, total, self.of)


WHOLE = Share()
