"""Payloads that people change."""

import pytest

from bloge_server.http.console import replay


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(b'{"a":1}', '{\n  "a": 1\n}'), (b"plain", "plain"), (b"", ""), (b"\xff\x00", None), (b"x" * 200_000, None)],
)
def test_texts_can_be_changed(payload: bytes, expected: str | None) -> None:
    """JSON indented; neither bytes nor what no browser likes to edit."""
    assert replay.editable(payload) == expected


def test_what_changes_is_shown_line_by_line() -> None:
    """Lines that go, lines that come, and some around them."""
    before, after = '{\n  "a": 1,\n  "b": 2\n}', '{\n  "a": 1,\n  "b": 3\n}'
    lines = [(line.kind, line.text) for line in replay.difference(before, after)]
    assert lines == [
        ("place", "@@ -1,4 +1,4 @@"),
        ("same", " {"),
        ("same", '   "a": 1,'),
        ("cut", '-  "b": 2'),
        ("add", '+  "b": 3'),
        ("same", " }"),
    ]


def test_the_same_text_changes_nothing() -> None:
    """Then there is nothing to show."""
    assert replay.difference("a\nb", "a\nb") == []
