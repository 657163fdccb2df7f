"""How many replicas must have a write before it is acknowledged."""

from typing import NamedTuple

from redis.exceptions import RedisError

from bloge_server.store import keys
from bloge_server.store.nodes import Command

_MARK_MS = 60_000


class TooFewReplicasError(RedisError):
    """What was written stands, but fewer replicas than required are known to have it."""


class Replicas(NamedTuple):
    """A requirement."""

    required: int
    """Replicas; 0: none."""
    timeout_ms: int
    """How long to wait for them, more than 0."""

    def waiting(self, key: str) -> list[Command]:
        """Return the commands that wait for them, to be sent right behind a write to a key.

        WAIT answers for the last write of its connection. A call that is repeated finds its work done and writes
        nothing more; so something is written in any case, behind all that the call relies on.
        """
        return [("SET", keys.mark(key), "", "PX", _MARK_MS), ("WAIT", self.required, self.timeout_ms)]

    def require(self, acknowledged: int) -> None:
        """Check how many replicas have acknowledged.

        Raises:
            TooFewReplicasError: fewer than required.
        """
        if acknowledged < self.required:
            raise TooFewReplicasError(
                f"stored, but acknowledged by {acknowledged} of {self.required} replicas within {self.timeout_ms} ms;"
                " the same call again is safe"
            )


NO_REPLICAS = Replicas(0, 1)
