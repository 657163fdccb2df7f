"""What people and orchestrators do to an item, once what is due has happened to it. Each answers one word."""

from bloge_server.domain.lifecycle import Outcome, Status

from .call import Call
from .item import Item


def cancel(call: Call, item: Item) -> str:
    """End an open item. An execution is only asked: its owner carries it out.

    Decided: a dead execution is asked too; whoever has it after a replay sees it.
    """
    if item.outcome:
        return "CANCELLED" if item.outcome is Outcome.CANCELLED else "HAS_OUTCOME"
    if item.is_execution:
        item.cancel_requested = True
        return "CANCEL_REQUESTED"
    item.move(Status.CANCELLED)
    call.emit(item, Outcome.CANCELLED)
    return "CANCELLED"


def replay(call: Call, item: Item, sequence: int, delay: int, payload: bytes | None) -> str:
    """Put a dead letter whose node still waits back: new budgets, a new place in the order, perhaps another payload.

    The fence rises, so every earlier token is superseded. Decided: progress and late outputs stay.
    """
    if not _awaits_a_person(item):
        return "WRONG_STATUS"
    item.retire_claim(call.now)
    item.sequence, item.dead_reason = sequence, None
    item.retries = item.losses = item.claims = item.releases = 0
    item.replays += 1
    item.payload = item.payload if payload is None else payload
    item.wait(call.after(delay))
    return "REPLAYED"


def adopt(call: Call, item: Item, fence: int) -> str:
    """Take a late output of a dead letter whose node still waits as its outcome."""
    if not _awaits_a_person(item):
        return "WRONG_STATUS"
    late = item.late_outputs.get(fence)
    if late is None or late.output is None:
        return "NO_OUTPUT"
    item.output = late.output
    item.move(Status.DONE)
    call.emit(item, Outcome.COMPLETED)
    return "ADOPTED"


def discard(call: Call, item: Item) -> str:
    """Drop a dead letter; a node that still waits resumes with a failure."""
    if item.status is not Status.DEAD_LETTER:
        return "WRONG_STATUS"
    item.move(Status.CANCELLED)
    if item.outcome is None:
        call.emit(item, Outcome.FAILED)
    else:
        call.retain(item)
    return "DISCARDED"


def _awaits_a_person(item: Item) -> bool:
    return item.status is Status.DEAD_LETTER and item.outcome is None
