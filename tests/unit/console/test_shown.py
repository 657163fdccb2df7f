"""Values as people read them."""

import pytest

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.console import shown


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (-5, "0 ms"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (9_940, "9.9 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (61_000, "1 min 1 s"),
        (3_600_000, "1 h"),
        (7_500_000, "2 h 5 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_a_span_has_its_two_largest_units(ms: int, expected: str) -> None:
    """No more is read at a glance."""
    assert shown.duration(ms) == expected


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_572_864, "1.5 MiB")]
)
def test_a_size_has_a_unit(number: int, expected: str) -> None:
    """Of 1024 bytes."""
    assert shown.size(number) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"b":1,"a":"\xc3\xbc"}', '{\n  "b": 1,\n  "a": "ü"\n}'),
        (b"plain", "plain"),
        (b"\xff\x00\x01", "ff 0001"),
        (b"", ""),
    ],
)
def test_a_payload_is_shown_as_what_it_is(data: bytes, expected: str) -> None:
    """JSON indented and in its order, text, or bytes."""
    assert shown.document(data) == expected


def test_a_very_long_payload_is_cut() -> None:
    """And its size is told."""
    text = shown.document(b"x" * 1_000_000)
    assert len(text) < 250_000
    assert text.endswith("976.6 KiB altogether")


def test_words_of_a_later_release_are_shown_as_they_are() -> None:
    """A number, where a name is not known."""
    assert shown.reason_of(pb.DEAD_LETTER_REASON_LEASE_LOST) == "LEASE_LOST"
    assert shown.reason_of(99) == "99"  # type: ignore[arg-type]  # a later release's
    assert shown.reason_of(pb.DEAD_LETTER_REASON_UNSPECIFIED) == ""


@pytest.mark.parametrize(("number", "expected"), [(0, "0 items"), (1, "1 item"), (1_234, "1,234 items")])
def test_counted_words_agree(number: int, expected: str) -> None:
    """With their number."""
    assert shown.plural(number, "item") == expected
