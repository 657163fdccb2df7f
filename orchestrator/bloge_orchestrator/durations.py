"""Durations: how they are written in a graph (`5m`), in an envelope (`PT5M`) and in a recorded graph (milliseconds)."""

import re
from datetime import timedelta

_UNIT_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?P<amount>[0-9]{1,18})(?P<unit>ms|s|m|h|d)")
_MILLISECOND = timedelta(milliseconds=1)

DURATION_MAX = timedelta(days=3650)
"""The longest duration a graph may name: ten years keep every deadline inside the range of a calendar date."""


class DurationError(ValueError):
    """A text is not a duration, or the duration is too long."""


def parse_duration(text: str) -> timedelta:
    """Read an integer followed by its unit: `ms`, `s`, `m`, `h` or `d`.

    Args:
        text: For example `500ms` or `5m`; no sign, no fraction, no blanks.

    Raises:
        DurationError: If the text has another form or means more than `DURATION_MAX`.

    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise DurationError(f"`{text}` is not a duration; write an integer followed by ms, s, m, h or d, such as 30s")
    amount = int(match["amount"]) * _UNIT_MILLISECONDS[match["unit"]]
    if amount > to_milliseconds(DURATION_MAX):
        raise DurationError(f"`{text}` is too long; a duration is at most {DURATION_MAX.days}d")
    return from_milliseconds(amount)


def format_duration(duration: timedelta) -> str:
    """Write a non-negative duration in the largest unit that divides it, so that `parse_duration` gives it back."""
    amount = to_milliseconds(duration)
    if amount == 0:
        return "0s"
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if amount % _UNIT_MILLISECONDS[unit] == 0)
    return f"{amount // _UNIT_MILLISECONDS[unit]}{unit}"


def iso_duration(duration: timedelta) -> str:
    """Write a non-negative duration in ISO 8601, in hours, minutes and seconds: `PT5M`, `PT0.5S`, `PT48H`."""
    seconds, milliseconds = divmod(to_milliseconds(duration), 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{milliseconds:03d}".rstrip("0") if milliseconds else ""
    text = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    text += f"{seconds}{fraction}S" if seconds or fraction else ""
    return "PT" + (text or "0S")


def to_milliseconds(duration: timedelta) -> int:
    """Give the whole milliseconds of a duration; what is finer is cut off."""
    return duration // _MILLISECOND


def from_milliseconds(amount: int) -> timedelta:
    """Give the duration of a number of milliseconds."""
    return amount * _MILLISECOND
