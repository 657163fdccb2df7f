"""What a handler may raise to say how its item ends, and what a worker raises when it cannot work."""

from datetime import timedelta
from typing import Any

Seconds = float | timedelta
"""A duration: seconds, or a `timedelta`."""

_DAY = 86_400.0


def to_seconds(duration: Seconds) -> float:
    """Return a duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


class RetryLater(Exception):  # noqa: N818 - a handler raises it as a decision, not as an error
    """Raise it to have the item tried again after `delay`; costs one retry of the node's budget, like any failure.

    Args:
        delay: seconds or a `timedelta`, 0 to 7 days. Overrides the policy's backoff.
        reason: for people, up to 4 KiB.

    Raises:
        ValueError: `delay` is out of range.
    """

    def __init__(self, delay: Seconds, reason: str = "") -> None:
        self.delay = _bounded(delay, 7 * _DAY, "RetryLater.delay")
        self.reason = str(reason)
        super().__init__(reason or f"retry after {self.delay:g} s")


class Reject(Exception):  # noqa: N818 - a decision
    """Raise it when no retry can help: the item becomes a dead letter now.

    Args:
        reason: for people, up to 4 KiB.
    """

    def __init__(self, reason: str) -> None:
        self.reason = str(reason)
        super().__init__(reason)


class BusinessError(Exception):
    """Raise it for an error of the business: the node resumes with it at once; no retry, no dead letter.

    Args:
        code: what the graph's author branches on, up to 256 characters.
        message: for people, up to 4 KiB.
        details: JSON-able facts for the graph, up to 64 KiB as JSON. Larger ones are left out, and the message says so.
    """

    def __init__(self, code: str, message: str = "", details: Any = None) -> None:  # noqa: ANN401 - any JSON value
        self.code = str(code)
        self.message = str(message)
        self.details = details
        super().__init__(f"{code}: {message}" if message else code)


class Release(Exception):  # noqa: N818 - a decision
    """Raise it to hand the item back unfinished, for this or another worker; costs no retry.

    Args:
        delay: seconds or a `timedelta` until the item is due again, 0 to 1 day.
        reason: for people, up to 256 characters.

    Raises:
        ValueError: `delay` is out of range.
    """

    def __init__(self, delay: Seconds = 0.0, reason: str = "") -> None:
        self.delay = _bounded(delay, _DAY, "Release.delay")
        self.reason = str(reason)
        super().__init__(reason or "released")


class WorkerError(Exception):
    """A worker cannot do what it was asked to."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])


class ConfigError(WorkerError):
    """A setting of the worker is missing or out of range."""


class HandlerError(WorkerError):
    """A handler cannot be registered."""


class WorkerClosed(WorkerError):  # noqa: N818 - names a state, like `SessionClosed`
    """The worker has already run; a worker runs once, make another."""


class WorkerRefused(WorkerError):  # noqa: N818 - names what happened
    """The server refused the worker's first session for a reason that trying again cannot mend.

    Args:
        reason: the refusal's stable reason, for example `PERMISSION_DENIED`.
        message: the server's words: the cause and the fix.
        address: where the server was.
    """

    def __init__(self, reason: str, message: str, address: str) -> None:
        self.reason = reason
        self.address = address
        super().__init__(f"the server at {address} refused this worker: {reason}: {message}")


class PayloadError(Exception):
    """The item's payload does not fit what the handler asks for; no retry can help."""


class ProgressTooLarge(ValueError):  # noqa: N818 - names what happened
    """Progress details are at most 64 KiB; keep large state elsewhere and report where it is."""


def _bounded(duration: Seconds, limit: float, field: str) -> float:
    seconds = to_seconds(duration)
    if not 0 <= seconds <= limit:
        raise ValueError(f"{field}: {seconds:g} s is out of range; 0 to {limit:g} s")
    return seconds
