"""Why a node, or one attempt at it, failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bloge_orchestrator.operators import Json

TIMED_OUT = "TimeoutError"
"""The error type of an attempt that outlived the node's timeout, here or at a worker."""

CANCELLED = "Cancelled"
"""The error type of a node whose work item, or whose execution, was cancelled."""


@dataclass(frozen=True, slots=True)
class NodeError:
    """An error as it is recorded and shown."""

    type: str
    """The error's type, or the code of a business error."""
    message: str = ""
    """For people."""
    business: bool = False
    """True for an error of the business, not of the machinery."""
    details: Json = None
    """Facts of a business error, for the graph's author."""
    traceback: str = ""
    """For people; empty if there is none."""

    def __str__(self) -> str:
        """Return type and message."""
        return f"{self.type}: {self.message}" if self.message else self.type

    def to_json(self) -> dict[str, Json]:
        """Give the error as a JSON object."""
        return {
            "type": self.type,
            "message": self.message,
            "business": self.business,
            "details": self.details,
            "traceback": self.traceback,
        }

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> "NodeError":
        """Read what `to_json` gave."""
        return cls(**members)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt, or failed attempts at a worker, and what may follow."""

    error: NodeError
    retryable: bool = True
    """False: another attempt is useless, or not wanted."""
    replaceable: bool = True
    """False: the fallback does not apply either."""
    cost: int = 1
    """How many attempts it stands for."""
    retry_after_ms: int | None = None
    """Overrides the policy's delay before the next attempt."""
