"""The life of a work item as a table: (status, event) -> statuses that may follow.

The scripts of the store carry it out; the property tests hold them to it, and the diagram in the docs is drawn from it.
"""

from enum import StrEnum


class Status(StrEnum):
    """Where a work item stands."""

    READY = "READY"
    CLAIMED = "CLAIMED"
    RETRY_WAIT = "RETRY_WAIT"
    DONE = "DONE"
    DEAD_LETTER = "DEAD_LETTER"
    CANCELLED = "CANCELLED"


class Event(StrEnum):
    """What can happen to a work item."""

    DUE = "due"
    CLAIM = "claim"
    RECEIPT = "receipt"
    HEARTBEAT = "heartbeat"
    COMPLETE = "complete"
    BUSINESS_ERROR = "business error"
    FAIL = "fail"
    RELEASE = "release"
    OFFER_EXPIRED = "offer lease expired"
    LEASE_EXPIRED = "lease expired"
    ATTEMPT_TIMEOUT = "attempt timeout passed"
    SUSPEND_DEADLINE = "suspend deadline passed"
    CANCEL = "cancel"
    REPLAY = "replay"
    ADOPT = "adopt"
    DISCARD = "discard"


class Outcome(StrEnum):
    """What resumes a suspended node, at most once for each item."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"


INDEX_OF = {
    Status.READY: "ready",
    Status.CLAIMED: "leases",
    Status.RETRY_WAIT: "retry",
    Status.DEAD_LETTER: "dead",
}
"""The index in which an item of each open status stands (promise L5)."""

_S, _E = Status, Event
TRANSITIONS: dict[tuple[Status, Event], frozenset[Status]] = {
    # Waiting. A late report with the item's last token still counts while nobody took over.
    (_S.READY, _E.CLAIM): frozenset({_S.CLAIMED}),
    (_S.READY, _E.HEARTBEAT): frozenset({_S.CLAIMED}),
    (_S.READY, _E.COMPLETE): frozenset({_S.DONE}),
    (_S.READY, _E.BUSINESS_ERROR): frozenset({_S.DONE}),
    (_S.READY, _E.SUSPEND_DEADLINE): frozenset({_S.CANCELLED}),
    (_S.READY, _E.CANCEL): frozenset({_S.CANCELLED}),
    (_S.RETRY_WAIT, _E.DUE): frozenset({_S.READY}),
    (_S.RETRY_WAIT, _E.CLAIM): frozenset({_S.CLAIMED, _S.READY}),
    (_S.RETRY_WAIT, _E.HEARTBEAT): frozenset({_S.CLAIMED}),
    (_S.RETRY_WAIT, _E.COMPLETE): frozenset({_S.DONE}),
    (_S.RETRY_WAIT, _E.BUSINESS_ERROR): frozenset({_S.DONE}),
    (_S.RETRY_WAIT, _E.SUSPEND_DEADLINE): frozenset({_S.CANCELLED}),
    (_S.RETRY_WAIT, _E.CANCEL): frozenset({_S.CANCELLED}),
    # Leased.
    (_S.CLAIMED, _E.RECEIPT): frozenset({_S.CLAIMED}),
    (_S.CLAIMED, _E.HEARTBEAT): frozenset({_S.CLAIMED}),
    (_S.CLAIMED, _E.COMPLETE): frozenset({_S.DONE}),
    (_S.CLAIMED, _E.BUSINESS_ERROR): frozenset({_S.DONE}),
    (_S.CLAIMED, _E.FAIL): frozenset({_S.RETRY_WAIT, _S.DEAD_LETTER}),
    (_S.CLAIMED, _E.RELEASE): frozenset({_S.READY, _S.RETRY_WAIT, _S.DEAD_LETTER}),
    (_S.CLAIMED, _E.OFFER_EXPIRED): frozenset({_S.READY}),
    (_S.CLAIMED, _E.LEASE_EXPIRED): frozenset({_S.RETRY_WAIT, _S.DEAD_LETTER}),
    (_S.CLAIMED, _E.ATTEMPT_TIMEOUT): frozenset({_S.RETRY_WAIT, _S.DEAD_LETTER}),
    (_S.CLAIMED, _E.SUSPEND_DEADLINE): frozenset({_S.CANCELLED}),
    (_S.CLAIMED, _E.CANCEL): frozenset({_S.CANCELLED}),
    # Parked. Work for a dead letter of lost leases still counts; a person decides about the rest.
    (_S.DEAD_LETTER, _E.COMPLETE): frozenset({_S.DONE}),
    (_S.DEAD_LETTER, _E.BUSINESS_ERROR): frozenset({_S.DONE}),
    (_S.DEAD_LETTER, _E.SUSPEND_DEADLINE): frozenset({_S.DEAD_LETTER}),
    (_S.DEAD_LETTER, _E.CANCEL): frozenset({_S.CANCELLED}),
    (_S.DEAD_LETTER, _E.REPLAY): frozenset({_S.READY, _S.RETRY_WAIT}),
    (_S.DEAD_LETTER, _E.ADOPT): frozenset({_S.DONE}),
    (_S.DEAD_LETTER, _E.DISCARD): frozenset({_S.CANCELLED}),
}
"""Anything missing does not happen."""
