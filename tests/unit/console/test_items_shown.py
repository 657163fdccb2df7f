"""An item as its page shows it."""

import pytest

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.console import items_shown

from .items import START_MS, at, attempt, item

FAILED = {"end": pb.ATTEMPT_END_FAILED, "failure": pb.Failure(type="Boom", message="no", traceback="T")}


def test_an_item_that_nobody_had_has_no_attempts() -> None:
    """Its line of time is empty."""
    view = items_shown.view(item(), START_MS + 10)
    assert (view.status, view.attempts, view.bars, view.is_open) == ("READY", [], [], True)


def test_attempts_tell_waits_and_runs() -> None:
    """From the enqueue, then from when the item was due again; the running one up to now."""
    first = attempt(100, 300, due_time=at(500), **FAILED)
    view = items_shown.view(item(first, attempt(600)), START_MS + 1000)
    assert [(each.wait_ms, each.run_ms, each.end, each.kind) for each in view.attempts] == [
        (100, 200, "FAILED", "bad"),
        (100, 400, "", "run"),
    ]
    assert view.attempts[0].failure == FAILED["failure"]


def test_the_line_of_time_reaches_to_now() -> None:
    """A thousand units, waits and runs where they were."""
    view = items_shown.view(item(attempt(100, 300, **FAILED), attempt(600)), START_MS + 1000)
    assert [(bar.kind, bar.x, bar.width) for bar in view.bars] == [
        ("wait", 0, 100),
        ("bad", 100, 200),
        ("wait", 300, 300),
        ("run", 600, 400),
    ]


def test_the_line_of_time_ends_with_the_outcome() -> None:
    """What comes later changes nothing."""
    done = attempt(500, 1000, end=pb.ATTEMPT_END_COMPLETED)
    outcome = pb.Outcome(kind=pb.OUTCOME_KIND_COMPLETED, outcome_time=at(1000))
    view = items_shown.view(item(done, status=pb.WORK_ITEM_STATUS_DONE, outcome=outcome), START_MS + 99_000)
    assert [(bar.kind, bar.x, bar.width) for bar in view.bars] == [("wait", 0, 500), ("good", 500, 500)]
    assert (view.outcome, view.is_open) == ("COMPLETED", False)


def test_the_line_of_time_ends_with_the_last_attempt_of_a_dead_letter() -> None:
    """However long it waits for a person after that."""
    dead = item(attempt(0, 1000, **FAILED), status=pb.WORK_ITEM_STATUS_DEAD_LETTER, dead_letter_time=at(1000))
    assert [(bar.kind, bar.width) for bar in items_shown.view(dead, START_MS + 99_000).bars] == [("bad", 1000)]


@pytest.mark.parametrize("now", [0, 1, 100_000_000])
def test_every_bar_can_be_seen(now: int) -> None:
    """However short it was, it stays on the line."""
    view = items_shown.view(item(attempt(0, 0, **FAILED), attempt(0, 1, **FAILED)), START_MS + now)
    assert all(bar.width >= 3 and bar.x >= 0 and bar.x + bar.width <= 1000 for bar in view.bars)


def test_a_deadline_counts_down_while_there_is_no_outcome() -> None:
    """Then nobody waits any more."""
    waiting = item(suspend_deadline=at(5_000))
    assert items_shown.view(waiting, START_MS + 2_000).deadline_left_ms == 3_000
    over = item(suspend_deadline=at(5_000), outcome=pb.Outcome(kind=pb.OUTCOME_KIND_TIMED_OUT, outcome_time=at(5_000)))
    assert items_shown.view(over, START_MS + 9_000).deadline_left_ms is None
    assert items_shown.view(item(), START_MS).deadline_left_ms is None


@pytest.mark.parametrize(("settled", "can"), [(False, True), (True, False)])
def test_a_settled_dead_letter_is_only_to_be_discarded(*, settled: bool, can: bool) -> None:
    """Replay, adopt and cancel are refused once there is an outcome."""
    outcome = {"outcome": pb.Outcome(kind=pb.OUTCOME_KIND_TIMED_OUT, outcome_time=at(1))} if settled else {}
    view = items_shown.view(item(status=pb.WORK_ITEM_STATUS_DEAD_LETTER, **outcome), START_MS + 9)
    assert (view.is_waiting_letter, view.is_open) == (can, can)


def test_a_list_shows_the_last_failure() -> None:
    """Not a release or a loss that came after it."""
    lost = attempt(5, 6, end=pb.ATTEMPT_END_LEASE_LOST)
    listed = items_shown.ListedItem(item(attempt(1, 2, **FAILED), lost))
    assert listed.last_failure == FAILED["failure"]
    assert items_shown.ListedItem(item(lost)).last_failure is None
