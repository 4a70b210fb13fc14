"""How many requests one subject may send: a bucket for each, which fills steadily and empties by one a request."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_SUBJECTS = 10_000


class RateLimited(Exception):
    """The subject has used up its share for now."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class Rates:
    """The buckets of one gateway; with several gateways a subject has one in each.

    Args:
        per_s: how many tokens flow into a bucket each second; it holds those of one second.
        now: seconds of a clock that never jumps.
    """

    def __init__(self, per_s: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._now = now
        # For each subject the time at which its bucket would be full: that one number is the whole bucket.
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self.policy = f'"subject";q={per_s:.0f};w=1'

    def take(self, subject: str) -> str:
        """Take one; returns what is left, as the `RateLimit` field says it. Raises `RateLimited` when none is."""
        now = self._now()
        full_at = max(self._full_at.get(subject, now), now) + 1 / self._per_s
        if full_at - now > 1 + 1e-9:
            raise RateLimited(1)
        self._full_at[subject] = full_at
        self._full_at.move_to_end(subject)
        if len(self._full_at) > MOST_SUBJECTS:
            self._full_at.popitem(last=False)
        return f'"subject";r={(1 - (full_at - now)) * self._per_s:.0f};t=1'
