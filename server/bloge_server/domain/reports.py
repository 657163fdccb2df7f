"""What workers report about leases, and the verdicts they get."""

from typing import NamedTuple

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lease_token import LeaseToken


class Heartbeat(NamedTuple):
    """Extends a lease."""

    token: LeaseToken
    lease_ms: int = 0
    """0: as long as the claim got."""
    progress: bytes | None = None


class Receipt(NamedTuple):
    """Confirms an offer."""

    token: LeaseToken
    age_ms: int = 0
    """How long ago it came: the full lease runs from then."""


class Complete(NamedTuple):
    """Finishes an item."""

    token: LeaseToken
    kind: str
    """`complete`, `business_error` or `cancelled`."""
    body: bytes
    """The output, or the business error as JSON."""
    digest: str


class Fail(NamedTuple):
    """Reports a technical failure."""

    token: LeaseToken
    error_type: str
    failure: str
    """JSON with type, message and traceback."""
    non_retryable: bool
    retry_after_ms: int
    """Negative: as the item's policy says."""
    digest: str


class Release(NamedTuple):
    """Hands an item back."""

    token: LeaseToken
    delay_ms: int
    reason: str
    draining: bool
    digest: str


class Verdict(NamedTuple):
    """The answer to one report."""

    reason: Reason | None
    """None: accepted."""
    status: str = ""
    """Where the item stands now; empty if the token does not allow to know."""
    lease_ms: int | None = None
    retry_ms: int | None = None
    superseded_by: str = ""
    superseded_ago_ms: int | None = None
    late_output_kept: bool = False
    cancel_requested: bool = False
    """Of a heartbeat: the execution is to be cancelled by its owner."""

    @property
    def accepted(self) -> bool:
        """Whether the report took effect, now or the first time."""
        return self.reason is None
