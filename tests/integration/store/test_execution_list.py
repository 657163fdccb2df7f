"""Lists of executions on real stores: in order, by choice, page by page, whatever the order of the notes."""

from collections.abc import Iterable

import pytest

from bloge_server.domain.execution import ExecutionRecord, ExecutionStatus, Facts, ListPlace
from bloge_server.store import execution_list
from bloge_server.store.execution_list import ExecutionList

from .conftest import START_MS, TOPIC, Bench

DAY_MS = 86_400_000
PENDING, RUNNING, FAILED = ExecutionStatus.PENDING, ExecutionStatus.RUNNING, ExecutionStatus.FAILED


@pytest.fixture
def listing(bench: Bench) -> ExecutionList:
    """The lists of the bench's store."""
    return ExecutionList(bench.store.calls)


def record(
    execution_id: str, start_ms: int = START_MS, status: ExecutionStatus = PENDING, graph: str = "g"
) -> ExecutionRecord:
    """Return a record."""
    return ExecutionRecord(execution_id, Facts(TOPIC, graph, "hash", ""), status, start_ms, None, 1)


async def listed(
    bench: Bench, listing: ExecutionList, limit: int = 2, status: ExecutionStatus | None = None, graph: str = ""
) -> list[str]:
    """Return the ids of all pages."""
    found, place = [], ListPlace()
    while True:
        page = await listing.page(bench.namespace, place, limit, status, graph)
        assert len(page.entries) <= limit
        found += [entry.execution_id for entry in page.entries]
        place = page.place
        if not page.more:
            return found


async def test_the_latest_comes_first(bench: Bench, listing: ExecutionList) -> None:
    """Over days, and in the reverse order of the ids where the time is the same; each exactly once."""
    starts = {"a": 0, "b": 5, "c": 5, "d": 5, "e": 5, "f": DAY_MS, "g": 3 * DAY_MS, "h": -DAY_MS}
    await listing.note(bench.namespace, [record(each, START_MS + after) for each, after in starts.items()])
    for limit in (1, 2, 3, 8):
        assert await listed(bench, listing, limit) == ["g", "f", "e", "d", "c", "b", "a", "h"]


async def test_nothing_is_listed_elsewhere(bench: Bench, listing: ExecutionList) -> None:
    """Each namespace has a list of its own."""
    await listing.note(f"{bench.namespace}-other", [record("a")])
    assert await listed(bench, listing) == []


async def test_notes_may_arrive_in_any_order(bench: Bench, listing: ExecutionList) -> None:
    """An execution never goes back."""
    for status in (RUNNING, FAILED, RUNNING, PENDING):
        await listing.note(bench.namespace, [record("a", status=status)])
    page = await listing.page(bench.namespace, ListPlace(), 9, None, "")
    assert [(entry.execution_id, entry.status, entry.start_ms) for entry in page.entries] == [("a", FAILED, START_MS)]


async def test_a_choice_is_made_by_status_and_graph(bench: Bench, listing: ExecutionList) -> None:
    """Pages are filled past what is not wanted."""
    records: Iterable[ExecutionRecord] = [
        record(f"e{number:02}", START_MS + number, RUNNING if number % 2 else PENDING, "h" if number % 3 else "g")
        for number in range(30)
    ]
    await listing.note(bench.namespace, records)
    assert await listed(bench, listing, 3, RUNNING, "g") == ["e27", "e21", "e15", "e09", "e03"]
    assert len(await listed(bench, listing, 7, PENDING)) == 15
    assert await listed(bench, listing, 7, FAILED) == []


async def test_one_call_looks_at_a_bounded_number(
    bench: Bench, listing: ExecutionList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may be empty though there is more; reading on comes to what is wanted."""
    monkeypatch.setattr(execution_list, "_LOOKS", 10)
    await listing.note(bench.namespace, [record(f"e{number:02}", START_MS + number) for number in range(1, 26)])
    await listing.note(bench.namespace, [record("wanted", START_MS, RUNNING)])
    page = await listing.page(bench.namespace, ListPlace(), 5, RUNNING, "")
    assert (page.entries, page.more) == ([], True)
    assert await listed(bench, listing, 5, RUNNING) == ["wanted"]


async def test_what_is_forgotten_leaves_nothing(bench: Bench, listing: ExecutionList) -> None:
    """With its last execution a day goes too."""
    await listing.note(bench.namespace, [record("a"), record("b", START_MS + DAY_MS)])
    await listing.forget(bench.namespace, [("a", START_MS)])
    assert await listed(bench, listing) == ["b"]
    await listing.forget(bench.namespace, [("a", START_MS), ("b", START_MS + DAY_MS)])
    assert await listed(bench, listing) == []
    base = f"bloge:{{{bench.namespace}}}:executions"
    days = [(START_MS + after) // DAY_MS for after in (0, DAY_MS)]
    keys = [base, *(f"{base}:{day}{part}" for day in days for part in ("", ":about"))]
    assert [await bench.client.exists(key) for key in keys] == [0] * 5
