"""Some of the latest command ids, packed: the same answers as a list of them would give."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import recent_ids

# Of few different bytes, so that an id is often found across the border of two others.
IDS = st.lists(st.sampled_from([0, 1]), min_size=16, max_size=16).map(lambda octets: UUID(bytes=bytes(octets)))


@given(st.lists(IDS, max_size=40), IDS)
def test_the_latest_are_held_and_no_others(ids: list[UUID], wanted: UUID) -> None:
    recent = recent_ids.NONE
    for each in ids:
        recent = recent_ids.with_another(recent, each)

    latest = ids[-recent_ids.MOST :]

    assert recent_ids.unpacked(recent) == tuple(latest)
    assert recent_ids.packed(latest) == recent
    assert all(recent_ids.hold(recent, each) for each in latest)
    assert recent_ids.hold(recent, wanted) == (wanted in latest)


def test_what_lies_across_two_ids_is_none_of_them() -> None:
    recent = recent_ids.packed([UUID(int=1), UUID(int=1 << 127)])

    assert not recent_ids.hold(recent, UUID(bytes=recent[8:24]))
    assert recent_ids.hold(recent, UUID(int=1 << 127))
