"""Checks request fields and collects everything that is wrong, with its path, before anything is done."""

from dataclasses import dataclass, field
from itertools import accumulate

from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers.errors import FieldViolation, Reason, RemoteWorkersError
from bloge_server.domain.names import DEFAULT_NAMESPACE, NAME_RULE, is_name

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
MAX_BATCH = 500
_TOLD_BYTES = 3000
"""Clients drop a trailer of more than 8 KiB, and the reason with it; base64 and framing take their part."""


def milliseconds(duration: Duration) -> int:
    """Return a duration in ms, rounded down."""
    return duration.seconds * 1000 + duration.nanos // 1_000_000


@dataclass(slots=True)
class Checks:
    """What is wrong with a request so far."""

    violations: list[FieldViolation] = field(default_factory=list)
    prefix: str = ""
    """What the paths of the fields checked next begin with, for example `items[3].`."""

    def wrong(self, path: str, description: str) -> None:
        """Note that a field is wrong."""
        self.violations.append(FieldViolation(self.prefix + path, description))

    def name(self, path: str, value: str) -> str:
        """Check a name that must be there."""
        if not is_name(value):
            self.wrong(path, f"must be {NAME_RULE}, got {value[:40]!r}")
        return value

    def optional_name(self, path: str, value: str, default: str) -> str:
        """Check a name that may be empty."""
        return self.name(path, value) if value else default

    def namespace(self, value: str, path: str = "namespace") -> str:
        """Check a namespace; empty means `default`."""
        return self.optional_name(path, value, DEFAULT_NAMESPACE)

    def text(self, path: str, value: str, limit: int) -> str:
        """Check the length of a text."""
        if len(value) > limit:
            self.wrong(path, f"must be up to {limit} characters, has {len(value)}")
        return value

    def number(self, path: str, value: int, least: int, most: int) -> int:
        """Check the range of a number."""
        if not least <= value <= most:
            self.wrong(path, f"must be {least} to {most}, got {value}")
        return value

    def duration(self, path: str, value: Duration, least_ms: int, most_ms: int) -> int:
        """Check the range of a duration that is present; return it in ms."""
        given = milliseconds(value)
        if not least_ms <= given <= most_ms:
            self.wrong(path, f"must be {least_ms / 1000:g} s to {most_ms / 1000:g} s, got {given / 1000:g} s")
        return given

    def batch(self, path: str, size: int, most: int = MAX_BATCH) -> None:
        """Check the size of a batch."""
        if not 1 <= size <= most:
            self.wrong(path, f"must have 1 to {most} entries, has {size}")

    def done(self) -> None:
        """Refuse the request if anything is wrong.

        Raises:
            RemoteWorkersError: INVALID_FIELD with every field that is wrong.
        """
        if self.violations:
            message = f"{len(self.violations)} field(s) are not valid"
            told = self._told()
            if len(told) < len(self.violations):
                message += f"; the first {len(told)} are told"
            raise RemoteWorkersError(Reason.INVALID_FIELD, message, fields=told)

    def _told(self) -> list[FieldViolation]:
        """Return as many of the violations as a call's trailer can carry."""
        sizes = accumulate(len(each.field.encode()) + len(each.description.encode()) for each in self.violations)
        return [each for each, size in zip(self.violations, sizes, strict=True) if size <= _TOLD_BYTES]


def check_size(path: str, size: int, limit: int) -> None:
    """Refuse what is too large.

    Raises:
        RemoteWorkersError: TOO_LARGE with both sizes.
    """
    if size > limit:
        raise RemoteWorkersError(
            Reason.TOO_LARGE,
            f"{path} has {size} bytes, the limit is {limit}; keep large data elsewhere and pass a reference",
            metadata={"limit_bytes": str(limit), "actual_bytes": str(size)},
            fields=(FieldViolation(path, f"must be up to {limit} bytes, has {size}"),),
        )
