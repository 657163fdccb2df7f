"""Who of the listed workers is still here."""

import pytest

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http.console.presence import is_here

from .items import START_MS, at


@pytest.mark.parametrize(("ms", "here"), [(-5, True), (0, True), (90_000, True), (90_001, False)])
def test_a_worker_is_away_when_nothing_was_heard_of_it(ms: int, here: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """It stays listed for an hour, but serves nobody."""
    assert is_here(ops.WorkerInfo(last_seen_time=at(0)), START_MS + ms) is here
