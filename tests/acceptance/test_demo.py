from __future__ import annotations

from tests.acceptance import serving


def test_demo_shows_receipts_rows_and_statistics() -> None:
    done = serving.run("demo")

    assert done.returncode == 0, done.stderr
    assert "the same → version 2, replayed=True" in done.stdout
    assert "Alice Smith" in done.stdout
    assert "200 answers" in done.stdout
    assert "{'active': 200, 'inactive': 1}" in done.stdout
    assert "'orders': 1, 'total': 2998" in done.stdout
