from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.serving import Served
from tests.described.run import cases_without_failure


@pytest.mark.long
@pytest.mark.timeout(1_400)
def test_api_is_as_it_is_described_in_thousands_of_cases(served: Served, tmp_path: Path) -> None:
    cases = cases_without_failure(served.url, served.token, tmp_path, "--max-examples", "80")
    print(f"{cases} cases without a failure")  # noqa: T201 - a figure for the report
    assert cases > 5_000
