"""Seconds to `google.protobuf.Duration` and back."""

from google.protobuf.duration_pb2 import Duration

_NANOS = 1_000_000_000


def duration_of(seconds: float) -> Duration:
    """Return a duration of so many seconds."""
    whole, nanos = divmod(round(seconds * _NANOS), _NANOS)
    return Duration(seconds=whole, nanos=nanos)


def seconds_of(duration: Duration) -> float:
    """Return a duration in seconds; an empty one is 0."""
    return duration.seconds + duration.nanos / _NANOS
