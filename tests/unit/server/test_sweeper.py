"""When topics are swept, on a clock that only the test moves."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.work_item import SweepResult
from bloge_server.services.sweeper import FAILED_SECONDS, FALLBACK_SECONDS, TICK_SECONDS, Agenda, Sweeper

Result = SweepResult | RemoteWorkersError

A, B = ("default", "a"), ("default", "b")
NOTHING_AHEAD = SweepResult(0, 0, 0, 0, 0, -1, 0)


def test_a_new_topic_is_due_at_once() -> None:
    """Nobody knows what waits there."""
    agenda = Agenda()
    assert agenda.know(A, 5.0)
    assert agenda.next_due() == 5.0
    assert agenda.take_due(5.0) == [A]


def test_a_known_topic_is_not_new() -> None:
    """Hearing of a topic again changes nothing."""
    agenda = Agenda()
    agenda.know(A, 5.0)
    assert not agenda.know(A, 1.0)
    assert agenda.next_due() == 5.0


def test_a_topic_that_was_taken_is_not_due_until_it_is_scheduled() -> None:
    """A topic that is being swept is not swept twice at a time."""
    agenda = Agenda()
    agenda.know(A, 0.0)
    agenda.take_due(0.0)
    assert agenda.next_due() == math.inf
    assert agenda.take_due(1e9) == []
    agenda.schedule(A, 3.0)
    assert agenda.take_due(1e9) == [A]


def test_the_earliest_time_counts() -> None:
    """Scheduling later never puts off what is due sooner."""
    agenda = Agenda()
    agenda.know(A, 3.0)
    agenda.schedule(A, 9.0)
    agenda.know(B, 7.0)
    agenda.schedule(B, 4.0)
    assert agenda.next_due() == 3.0
    assert agenda.take_due(3.5) == [A]
    assert agenda.next_due() == 4.0


def test_a_topic_that_was_forgotten_stays_so_until_it_is_known_again() -> None:
    """What is heard late must not bring it back: whoever gets to know it then has to listen to it again."""
    agenda = Agenda()
    agenda.know(A, 1.0)
    agenda.forget(A)
    agenda.schedule(A, 2.0)
    assert list(agenda) == []
    assert agenda.know(A, 3.0)


@given(
    st.lists(st.tuples(st.sampled_from(["know", "schedule", "take", "forget"]), st.integers(0, 3), st.integers(0, 20)))
)
def test_an_agenda_in_any_history(steps: list[tuple[str, int, int]]) -> None:
    """What is due, and when, is what the simplest agenda would say."""
    agenda = Agenda()
    due: dict[Topic, float] = {}
    for verb, topic_number, at in steps:
        topic = ("default", f"t{topic_number}")
        if verb == "know":
            assert agenda.know(topic, at) == (topic not in due)
            due.setdefault(topic, at)
        elif verb == "schedule":
            agenda.schedule(topic, at)
            due.update({topic: min(at, due[topic])} if topic in due else {})
        elif verb == "forget":
            agenda.forget(topic)
            due.pop(topic, None)
        else:
            expected = {each for each, time in due.items() if time <= at}
            assert set(agenda.take_due(at)) == expected
            due.update(dict.fromkeys(expected, math.inf))
        assert agenda.next_due() == min(due.values(), default=math.inf)
        assert set(agenda) == set(due)


def test_an_empty_agenda_is_never_due() -> None:
    """Without topics there is nothing to wait for."""
    assert Agenda().next_due() == math.inf


@dataclass
class Sweeps:
    """A store that says what a test tells it to, and a clock that only the test moves."""

    now: float = 100.0
    result: SweepResult = NOTHING_AHEAD
    failure: Exception | None = None
    done: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)

    async def sweep(self, topics: Sequence[Topic]) -> list[Result]:
        """Note a sweep of each topic."""
        for _, worker_topic in topics:
            self.done.put_nowait(worker_topic)
        failure, self.failure = self.failure, None
        if isinstance(failure, RemoteWorkersError):
            return [failure] * len(topics)
        if failure is not None:
            raise failure
        return [self.result] * len(topics)


def apart(topics: Sequence[Topic]) -> list[list[Topic]]:
    """Sweep each topic by itself."""
    return [[topic] for topic in topics]


def together(topics: Sequence[Topic]) -> list[list[Topic]]:
    """Sweep all topics in as few trips as may be."""
    return [list(topics)]


@pytest.fixture
async def sweeps() -> Sweeps:
    """Return a store that has nothing to do."""
    return Sweeps()


@asynccontextmanager
async def at_work(sweeper: Sweeper) -> AsyncIterator[Sweeper]:
    """Let a sweeper work."""
    running = asyncio.create_task(sweeper.run())
    try:
        yield sweeper
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
async def sweeper(sweeps: Sweeps) -> AsyncIterator[Sweeper]:
    """Return a sweeper at work."""
    async with at_work(Sweeper(sweeps.sweep, apart, lambda: sweeps.now)) as sweeper:
        yield sweeper


async def test_a_new_topic_is_swept_at_once(sweeper: Sweeper, sweeps: Sweeps) -> None:
    """The first sweep waits for no interval."""
    assert sweeper.know(A)
    assert await sweeps.done.get() == "a"
    assert not sweeper.know(A)


async def test_what_falls_due_sooner_wakes_the_sweeper(sweeper: Sweeper, sweeps: Sweeps) -> None:
    """A due time that somebody else set is honoured though the sweeper sleeps until a later one."""
    sweeper.know(A)
    sweeper.know(B)
    assert {await sweeps.done.get(), await sweeps.done.get()} == {"a", "b"}
    await _settled()
    sweeper.schedule(B, 0)
    assert await sweeps.done.get() == "b"


async def test_only_what_is_due_is_swept(sweeper: Sweeper, sweeps: Sweeps) -> None:
    """A topic whose time has not come is left alone when another is swept."""
    sweeper.know(A)
    sweeper.know(B)
    assert {await sweeps.done.get(), await sweeps.done.get()} == {"a", "b"}
    await _settled()
    sweeper.schedule(A, 60_000)
    sweeper.schedule(B, 0)
    assert await sweeps.done.get() == "b"
    await _settled()
    assert sweeps.done.empty()


async def test_more_due_now_is_swept_again_at_once(sweeper: Sweeper, sweeps: Sweeps) -> None:
    """A sweep that was cut short goes on without waiting: the test's clock stands still."""
    sweeps.result = SweepResult(500, 0, 0, 0, 0, 0, 0)
    sweeper.know(A)
    assert [await sweeps.done.get() for _ in range(3)] == ["a", "a", "a"]
    sweeps.result = SweepResult(0, 0, 0, 0, 0, -1, 0)


@pytest.mark.parametrize(
    ("next_due_ms", "expected"), [(250, 0.25), (-1, FALLBACK_SECONDS), (5_000, FALLBACK_SECONDS), (0, 0.0)]
)
async def test_the_next_sweep_is_at_the_due_time_or_the_fallback(next_due_ms: int, expected: float) -> None:
    """A sweep tells when the topic is due next; a lost wake-up is found after the fallback interval."""
    sweeps = Sweeps()
    sweeper = Sweeper(sweeps.sweep, apart, lambda: sweeps.now, lambda: 0.0)
    due = sweeper._take(A, SweepResult(0, 0, 0, 0, 0, next_due_ms, 0))
    assert due == pytest.approx(sweeps.now + expected, abs=TICK_SECONDS)
    assert due <= sweeps.now + expected


async def test_thousands_of_topics_are_not_looked_at_in_step() -> None:
    """Some come early, none late, and dozens of them together."""
    sweeps, random = Sweeps(), Random(1)
    sweeper = Sweeper(sweeps.sweep, together, lambda: sweeps.now, random.random)
    due = Counter(round(sweeper._take(A, NOTHING_AHEAD), 6) for _ in range(2000))
    assert sweeps.now + 0.7 <= min(due)
    assert max(due) <= sweeps.now + FALLBACK_SECONDS
    assert 5 <= len(due) <= 7
    assert max(due.values()) < 600


async def test_topics_that_are_together_share_a_trip(sweeps: Sweeps) -> None:
    """In parts of bounded size, so that no trip keeps the store from others for long."""
    trips: list[int] = []

    async def sweep(topics: Sequence[Topic]) -> list[Result]:
        trips.append(len(topics))
        return await sweeps.sweep(topics)

    sweeper = Sweeper(sweep, together, lambda: sweeps.now)
    for number in range(120):
        sweeper.know(("default", f"t{number}"))
    async with at_work(sweeper):
        for _ in range(120):
            await sweeps.done.get()
    assert sorted(trips) == [20, 50, 50]


async def test_a_slow_topic_keeps_no_other_waiting(sweeps: Sweeps) -> None:
    """A part of the store that is away must not delay deadlines in the rest of it."""
    gate = asyncio.Event()

    async def sweep(topics: Sequence[Topic]) -> list[Result]:
        if topics == [A]:
            await gate.wait()
        return await sweeps.sweep(topics)

    async with at_work(Sweeper(sweep, apart, lambda: sweeps.now)) as sweeper:
        sweeper.know(A)
        await _settled()
        sweeper.know(B)
        assert await sweeps.done.get() == "b"
        gate.set()
        assert await sweeps.done.get() == "a"


async def test_what_falls_due_during_a_sweep_is_swept_after_it(sweeps: Sweeps) -> None:
    """Once, however often it was said; never twice at a time."""
    gate = asyncio.Semaphore(0)

    async def sweep(topics: Sequence[Topic]) -> list[Result]:
        result = await sweeps.sweep(topics)
        await gate.acquire()
        return result

    async with at_work(Sweeper(sweep, apart, lambda: sweeps.now)) as sweeper:
        sweeper.know(A)
        await sweeps.done.get()
        for _ in range(3):
            sweeper.schedule(A, 0)
            await _settled()
        assert sweeps.done.empty()
        gate.release()
        assert await sweeps.done.get() == "a"
        gate.release()
        await _settled()
        assert sweeps.done.empty()


async def test_a_forgotten_topic_is_left_alone(sweeper: Sweeper, sweeps: Sweeps) -> None:
    """Also one that is forgotten while it is swept; it may come back as a new one."""
    sweeper.know(A)
    await sweeps.done.get()
    sweeper.forget(A)
    await _settled()
    assert sweeper.topics == set()
    assert sweeper._agenda.next_due() == math.inf
    assert sweeper.know(A)
    assert await sweeps.done.get() == "a"


async def test_too_many_dead_letters_are_told_once_a_minute() -> None:
    """And again as soon as they are too many again."""
    sweeps = Sweeps(result=SweepResult(0, 0, 0, 0, 3, -1, 5))
    sweeper = Sweeper(sweeps.sweep, apart, lambda: sweeps.now)
    with capture_logs() as logs:
        for result, seconds in ((5, 0), (5, 59), (5, 1), (0, 1), (5, 1)):
            sweeps.now += seconds
            sweeps.result = sweeps.result._replace(dead_beyond_limit=result)
            sweeper._take(A, sweeps.result)
    assert [log["beyond_limit"] for log in logs if log["event"].startswith("too many")] == [5, 5, 5]
    assert [log["discarded"] for log in logs if log["event"].startswith("dead letters discarded")] == [3] * 5


@pytest.mark.parametrize(
    "failure", [RemoteWorkersError(Reason.STORE_UNAVAILABLE, "gone"), ValueError("a reply nobody foresaw")]
)
async def test_a_failed_sweep_does_not_end_the_sweeper(sweeper: Sweeper, sweeps: Sweeps, failure: Exception) -> None:
    """Whatever a sweep of one topic raises, the topic is tried again soon and the others go on."""
    sweeps.failure = failure
    sweeper.know(A)
    assert await sweeps.done.get() == "a"
    await _settled()
    sweeper.know(B)
    async with asyncio.timeout(5):
        assert await sweeps.done.get() == "b"
    sweeps.now += FAILED_SECONDS
    sweeper.schedule(B, 0)
    async with asyncio.timeout(5):
        assert {await sweeps.done.get(), await sweeps.done.get()} == {"a", "b"}


async def _settled() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)
