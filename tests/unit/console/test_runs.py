"""Long actions: step by step, at a pace, to be stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest
from starlette.exceptions import HTTPException

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.http.console import runs
from bloge_server.http.console.runs import Runs, Step
from bloge_server.store.runs import Run, RunBook


class Book:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Run] = []
        self.stop_after = 10_000
        self.ended = asyncio.Event()

    async def write(self, _namespace: str, run: Run) -> bool:
        """Take note."""
        self.told.append(run)
        if run.state != "running":
            self.ended.set()
        return len(self.told) > self.stop_after


async def steps(count: int, fail: Exception | None = None) -> AsyncIterator[Step]:
    """Yield steps of two items, one refused in each."""
    for index in range(count):
        yield Step(2, 1, (f"line {index}",))
    if fail is not None:
        raise fail


def doer(book: Book) -> Runs:
    """Return who carries actions out."""
    ticks = iter(range(1_000_000))
    return Runs(cast("RunBook", book), clock=lambda: next(ticks))


async def done(book: Book, made: AsyncIterator[Step], **how: int) -> Run:
    """Carry an action out; return how it ended."""
    await doer(book).begin("ns", "Replay", "dead letters", made, **how)
    await asyncio.wait_for(book.ended.wait(), 10)
    return book.told[-1]


async def test_steps_add_up() -> None:
    """What was done, what was refused, what is to be said."""
    book = Book()
    run = await done(book, steps(3), total=9)
    assert (run.state, run.done, run.refused, run.total) == ("finished", 6, 3, 9)
    assert run.lines == ("line 0", "line 1", "line 2")
    assert [each.done for each in book.told] == [0, 2, 4, 6, 6]


async def test_lines_are_bounded() -> None:
    """A page holds only so many."""
    assert len((await done(Book(), steps(1_000))).lines) == 100


async def test_an_action_that_is_asked_to_stop_does() -> None:
    """After the step that it is in; the rest is left alone."""
    book = Book()
    book.stop_after = 2
    run = await done(book, steps(100))
    assert (run.state, run.done) == ("stopped", 4)


@pytest.mark.parametrize(
    ("error", "told"),
    [(RemoteWorkersError(Reason.STORE_UNAVAILABLE, "the store is away"), "the store is away"), (KeyError("x"), "log")],
)
async def test_an_action_that_breaks_says_so(error: Exception, told: str) -> None:
    """What was done stays done."""
    run = await done(Book(), steps(2, error))
    assert (run.state, run.done) == ("failed", 4)
    assert told in run.error


async def test_a_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each step it waits until what is done is no more than the pace allows."""
    waits: list[float] = []
    sleep: Callable[[float], object] = asyncio.sleep

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)  # type: ignore[misc]  # the real one

    monkeypatch.setattr(asyncio, "sleep", wait)
    await done(Book(), steps(3), rate=1)
    assert [round(each) for each in waits] == [3, 6, 9]


async def test_only_so_many_go_on_at_once() -> None:
    """The next one is told to wait."""
    book, gate = Book(), asyncio.Event()

    async def patient() -> AsyncIterator[Step]:
        await gate.wait()
        yield Step(1)

    busy = doer(book)
    for _ in range(runs.MOST_AT_ONCE):
        await busy.begin("ns", "Replay", "dead letters", patient())
    with pytest.raises(HTTPException) as refused:
        await busy.begin("ns", "Replay", "dead letters", patient())
    assert refused.value.status_code == 429
    gate.set()
    await busy.stop()
