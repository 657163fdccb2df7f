"""Refusals of requests name every field that is wrong."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.status import to_status
from bloge_server.rpc.fields import Checks, check_size, milliseconds


def refused(checks: Checks) -> RemoteWorkersError:
    """Return the refusal of checks that found something."""
    with pytest.raises(RemoteWorkersError) as refusal:
        checks.done()
    return refusal.value


def test_a_valid_request_passes() -> None:
    """Nothing wrong, nothing raised."""
    checks = Checks()
    checks.name("a", "x")
    checks.number("b", 5, 0, 5)
    checks.batch("c", 500)
    checks.text("d", "x" * 5, 5)
    checks.done()


def test_every_violation_is_told_at_once() -> None:
    """A caller mends its request in one go."""
    checks = Checks()
    checks.name("item.item_id", "no good")
    checks.number("max_items", 501, 1, 500)
    checks.batch("reports", 0)
    checks.text("reason", "x" * 300, 256)
    checks.duration("wait_timeout", Duration(seconds=61), 0, 60_000)
    refusal = refused(checks)
    assert refusal.reason is Reason.INVALID_FIELD
    assert [each.field for each in refusal.fields] == ["item.item_id", "max_items", "reports", "reason", "wait_timeout"]
    assert "0 s to 60 s, got 61 s" in refusal.fields[-1].description


def test_optional_names_may_be_empty_but_not_wrong() -> None:
    """Empty means the default."""
    checks = Checks()
    assert checks.namespace("") == "default"
    assert checks.optional_name("reply_group", "", "-") == "-"
    checks.namespace("a/b")
    assert [each.field for each in refused(checks).fields] == ["namespace"]


def test_a_wrong_name_is_shown_shortened() -> None:
    """An error never carries a value of any size back."""
    checks = Checks()
    checks.name("item_id", "/" * 10_000)
    assert len(refused(checks).fields[0].description) < 200


def test_the_refusal_of_a_large_batch_fits_a_trailer() -> None:
    """Clients drop a trailer of more than 8 KiB, and the reason with it; so a long list is cut, and says so."""
    checks = Checks()
    for index in range(500):
        checks.name(f"items[{index}].item_id", "/" * 100)
        checks.name(f"items[{index}].worker_topic", "/" * 100)
    refusal = refused(checks)
    assert to_status(refusal).ByteSize() < 5000
    assert refusal.fields[0].field == "items[0].item_id"
    assert "1000 field(s)" in refusal.message


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (Duration(), 0),
        (Duration(seconds=1, nanos=999_999), 1000),
        (Duration(nanos=1_000_000), 1),
        (Duration(seconds=-1), -1000),
        (Duration(nanos=-1), -1),
    ],
)
def test_durations_are_milliseconds_rounded_down(duration: Duration, expected: int) -> None:
    """Nothing negative is ever rounded up to zero."""
    assert milliseconds(duration) == expected


def test_what_is_too_large_is_refused_with_both_sizes() -> None:
    """The limit itself is allowed."""
    check_size("payload", 10, 10)
    with pytest.raises(RemoteWorkersError) as refusal:
        check_size("items[3].payload", 11, 10)
    assert refusal.value.reason is Reason.TOO_LARGE
    assert refusal.value.metadata == {"limit_bytes": "10", "actual_bytes": "11"}
    assert [each.field for each in refusal.value.fields] == ["items[3].payload"]
    assert to_status(refusal.value).code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
