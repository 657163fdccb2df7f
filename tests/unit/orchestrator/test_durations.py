"""Durations in their three forms."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bloge_orchestrator.durations import (
    DURATION_MAX,
    DurationError,
    format_duration,
    from_milliseconds,
    iso_duration,
    parse_duration,
    to_milliseconds,
)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("0s", 0), ("500ms", 500), ("2s", 2_000), ("5m", 300_000), ("1h", 3_600_000), ("7d", 604_800_000)],
)
def test_parse_reads_an_integer_and_its_unit(text: str, milliseconds: int) -> None:
    """Each unit has its length."""
    assert to_milliseconds(parse_duration(text)) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "5", "m", "1.5s", "-1s", "+1s", "5 m", "5min", "1h30m", "٣s", "9" * 30 + "s", "5m\n"]
)
def test_parse_refuses_every_other_form(text: str) -> None:
    """Signs, fractions, blanks, unknown units and foreign digits are no durations."""
    with pytest.raises(DurationError, match="is not a duration"):
        parse_duration(text)


def test_parse_refuses_what_no_calendar_holds() -> None:
    """The longest duration is accepted, a millisecond more is not."""
    longest = to_milliseconds(DURATION_MAX)
    assert parse_duration(f"{longest}ms") == DURATION_MAX
    with pytest.raises(DurationError, match="too long"):
        parse_duration(f"{longest + 1}ms")


@settings(deadline=None, max_examples=100)
@given(st.integers(0, to_milliseconds(DURATION_MAX)))
def test_format_and_parse_are_inverse(milliseconds: int) -> None:
    """What is written is read back, whatever the unit."""
    assert parse_duration(format_duration(from_milliseconds(milliseconds))) == from_milliseconds(milliseconds)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(milliseconds=500), "PT0.5S"),
        (timedelta(milliseconds=1), "PT0.001S"),
        (timedelta(seconds=2), "PT2S"),
        (timedelta(minutes=5), "PT5M"),
        (timedelta(minutes=90), "PT1H30M"),
        (timedelta(days=2, seconds=1, milliseconds=250), "PT48H1.25S"),
    ],
)
def test_iso_form(duration: timedelta, text: str) -> None:
    """An envelope holds ISO 8601, in hours, minutes and seconds."""
    assert iso_duration(duration) == text
