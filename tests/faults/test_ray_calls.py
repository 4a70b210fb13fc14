"""Ray loses calls, and answers to calls that were executed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.acceptance import serving
from tests.acceptance.serving import Served
from tests.faults.customers import check_log_and_views, customers_of

REPLAYS = 20
LOSSES = {
    "CoreWorkerService.grpc_client.PushTask": {
        "num_failures": 1_000,
        "req_failure_prob": 2,
        "resp_failure_prob": 8,
        "in_flight_failure_prob": 2,
    }
}


@pytest.fixture
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service whose calls between actors get lost."""
    env = {"RAY_testing_rpc_failure": json.dumps(LOSSES)}
    service = serving.start(tmp_path_factory.mktemp("lossy") / "data", env=env)
    service.wait_until_ready()
    yield service
    service.stop()


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_f14_calls_and_replies_lost(lossy: Served) -> None:
    """What was executed and not answered is sent again under its id, and done once.

    In long runs only: Ray takes more than a second to tell of each lost call.
    """
    async with customers_of(lossy) as customers, customers.load(4):
        while sum(each.done is not None and each.done.replayed for each in customers.history.operations) < REPLAYS:
            await customers.history.more(10)
    check_log_and_views(lossy)
