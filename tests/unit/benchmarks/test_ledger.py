"""Every item ends exactly once, and a load that says so has looked."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.load.ledger import Ledger, Run, settle
from benchmarks.load.plan import draw
from benchmarks.load.profiles import Steady
from benchmarks.load.worker import read_notes

ITEMS = 20


def ledger(**settings: Any) -> Ledger:
    """Return a ledger of a plan in which every enqueue was acknowledged."""
    found = Ledger(draw(Steady(arrivals="fixed", rate=ITEMS, duration=1, **settings)))
    found.enqueued = len(found.plan)
    return found


def end_all(book: Ledger) -> None:
    """End every item as planned, half a second after its arrival."""
    for item, at in enumerate(book.plan.at):
        book.end(item, book.planned_end(item), at + 0.5)


def planned_runs(book: Ledger) -> list[Run]:
    """Return the runs that the plan asks for."""
    failures = enumerate(book.plan.failures)
    return [Run(item, attempt, cut=False) for item, failed in failures for attempt in range(1, failed + 2)]


def test_all_is_well_when_what_was_planned_happened() -> None:
    """With failures and business errors as the plan has them."""
    book = ledger(failure_rate=0.5, business_error_rate=0.3)
    end_all(book)
    accounts = settle(book, planned_runs(book))
    assert accounts.problems == []
    assert (accounts.ended, accounts.runs) == (ITEMS, ITEMS + accounts.planned_failures)
    assert accounts.planned_failures > 0
    assert book.is_over


def test_a_lost_item_is_a_problem() -> None:
    """One that never ended, and never ran, is both."""
    book = ledger()
    for item in range(1, ITEMS):
        book.end(item, "completed", 1.0)
    told = settle(book, planned_runs(book)[1:]).problems
    assert told == [
        f"1 items {what}, for example number 0" for what in ("have no outcome", "ran less often than planned")
    ]


def test_an_item_that_nobody_acknowledged_is_a_problem() -> None:
    """Even if it ended."""
    book = ledger()
    book.enqueued -= 1
    end_all(book)
    assert settle(book, planned_runs(book)).problems == ["1 items were not acknowledged at their enqueue"]


def test_a_run_too_many_is_a_problem_unless_an_earlier_one_was_cut() -> None:
    """A lost lease that nobody's death explains would hide in averages."""
    book = ledger()
    end_all(book)
    runs = planned_runs(book)
    assert settle(book, [*runs, Run(3, 1, cut=True)]).problems == []
    assert settle(book, [*runs, Run(3, 1, cut=False)]).problems == [
        "1 items ran more often than planned, though nothing cut them, for example number 3"
    ]


@pytest.mark.parametrize("what", ["timed_out", "business error", "completed with another item's output"])
def test_an_end_that_was_not_planned_is_a_problem(what: str) -> None:
    """Whatever it is."""
    book = ledger()
    book.end(0, what, 0.1)
    for item in range(1, ITEMS):
        book.end(item, "completed", 1.0)
    assert settle(book, planned_runs(book)).problems == [f"1 {what} instead of completed"]


def test_an_outcome_may_arrive_again_and_counts_once() -> None:
    """Delivery is at least once; the first arrival gives the latency."""
    book = ledger()
    end_all(book)
    book.end(0, "completed", 9.0)
    assert (book.ended, book.redelivered, book.ended_at[0]) == (ITEMS, 1, 0.5)


def test_what_is_not_of_this_run_is_counted_apart() -> None:
    """A topic may hold what an earlier load left."""
    book = ledger()
    end_all(book)
    book.end(-1, "completed", 1.0)
    accounts = settle(book, [*planned_runs(book), Run(ITEMS, 1, cut=False)])
    assert (accounts.problems, book.strangers) == ([], 2)


def test_latency_runs_from_the_planned_arrival() -> None:
    """So that a load that falls behind shows; the backlog waits by design and does not count."""
    book = ledger(backlog=5)
    end_all(book)
    assert book.latencies(0) == pytest.approx([500.0] * ITEMS)
    assert len(book.take_fresh()) == ITEMS
    assert book.take_fresh() == []


def test_notes_tell_which_runs_were_cut(tmp_path: Path) -> None:
    """One `cut` excuses one run; in a worker that was killed every run may have gone unreported."""
    notes = tmp_path / "notes"
    notes.write_text("1 1\n2 1\n2 1 cut\n2 1\n")
    assert list(read_notes(notes, killed=False)) == [(1, 1, False), (2, 1, True), (2, 1, False)]
    assert all(run.cut for run in read_notes(notes, killed=True))
    assert list(read_notes(tmp_path / "none", killed=False)) == []
