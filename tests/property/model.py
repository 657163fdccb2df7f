"""A small pure model of a work item: what one step may do to it, by the table of the lifecycle."""

from bloge_server.domain.lifecycle import TRANSITIONS, Event, Outcome, Status

BY_ITSELF = (
    Event.DUE,
    Event.OFFER_EXPIRED,
    Event.LEASE_EXPIRED,
    Event.ATTEMPT_TIMEOUT,
    Event.SUSPEND_DEADLINE,
)
"""What may happen in any step, because every script first settles what is due."""

_BURIALS = frozenset({Event.FAIL, Event.RELEASE, *BY_ITSELF})
CAUSES: dict[Outcome, frozenset[Event]] = {
    Outcome.COMPLETED: frozenset({Event.COMPLETE, Event.ADOPT}),
    Outcome.FAILED: frozenset({Event.BUSINESS_ERROR, Event.DISCARD, *_BURIALS}),
    Outcome.TIMED_OUT: frozenset({Event.SUSPEND_DEADLINE}),
    Outcome.CANCELLED: frozenset({Event.CANCEL}),
}
"""Which events may write an outcome: FAILED comes from a dead letter too, where the policy says so."""


def reachable(status: Status, event: Event | None) -> frozenset[Status]:
    """Return where an item may stand after a step: what is due happens first, then the event, if it has an effect."""
    settled = _closure(status)
    if event is None:
        return settled
    return settled.union(*(TRANSITIONS.get((each, event), frozenset()) for each in settled))


def may_write(outcome: Outcome, event: Event | None) -> bool:
    """Return whether a step may write an outcome."""
    return any(cause in CAUSES[outcome] for cause in (event, *BY_ITSELF))


def _closure(status: Status) -> frozenset[Status]:
    """Return a status and all that follow from it by themselves."""
    found, new = frozenset[Status](), frozenset({status})
    while new - found:
        found |= new
        new = frozenset().union(*(TRANSITIONS.get((each, event), frozenset()) for each in found for event in BY_ITSELF))
    return found
