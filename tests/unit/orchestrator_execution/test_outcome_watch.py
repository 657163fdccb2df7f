"""What a stream of outcomes still has to be told."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import TYPE_CHECKING, cast

import pytest

from bloge.remote_workers.v1 import work_item_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as pb
from bloge_orchestrator.outcome_watch import ItemRef, OutcomeSource, OutcomeWatch, WatchState

if TYPE_CHECKING:
    from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceAsyncStub


def source(number: int) -> OutcomeSource:
    """Return a source."""
    return OutcomeSource("default", "t", f"e-{number}")


def item(number: int) -> ItemRef:
    """Return an item."""
    return ItemRef("default", "t", f"i-{number}")


def ignore(_: work_item_pb2.Outcome) -> None:
    """Take an outcome."""


def frames(state: WatchState) -> list[str]:
    """Return all that is to be told, in short."""
    found: list[str] = []
    while (frame := state.next_frame()) is not None:
        found.append(_short(frame))
    return found


def _short(frame: pb.WatchOutcomesRequest) -> str:
    match frame.WhichOneof("frame"):
        case "add":
            return "+" + ",".join(each.reply_group for each in frame.add.sources)
        case "remove":
            return "-" + ",".join(each.reply_group for each in frame.remove.sources)
        case _:
            return "ack " + ",".join(each.item_id for each in frame.acknowledge.items)


def test_what_is_told_once_is_not_told_again() -> None:
    """Sources and acknowledgements are batched."""
    state = WatchState()
    state.add(source(1), ignore)
    state.add(source(2), ignore)
    state.acknowledge([item(1), item(2)])
    assert frames(state) == ["ack i-1,i-2", "+e-1,e-2"]
    assert frames(state) == []
    state.remove(source(1))
    state.add(source(3), ignore)
    assert frames(state) == ["-e-1", "+e-3"]


def test_a_source_that_comes_and_goes_unnoticed_is_not_told() -> None:
    """Nor is one that was never watched."""
    state = WatchState()
    state.add(source(1), ignore)
    state.remove(source(1))
    state.remove(source(2))
    assert frames(state) == []


def test_a_source_that_comes_back_is_read_again() -> None:
    """From the beginning: what was not acknowledged comes again."""
    state = WatchState()
    state.add(source(1), ignore)
    frames(state)
    state.remove(source(1))
    state.add(source(1), ignore)
    assert frames(state) == ["+e-1"]


def test_a_new_stream_is_told_everything() -> None:
    """What was removed meanwhile is not; acknowledgements are repeated, before the sources."""
    state = WatchState()
    state.add(source(1), ignore)
    state.add(source(2), ignore)
    state.acknowledge([item(1)])
    frames(state)
    state.remove(source(2))
    state.acknowledge([item(2)])
    state.reconnected()
    assert frames(state) == ["ack i-1,i-2", "+e-1"]


def test_frames_are_small_enough() -> None:
    """At most 500 entries each."""
    state = WatchState()
    for number in range(1200):
        state.add(source(number), ignore)
        state.acknowledge([item(number)])
    sizes = [frame.count(",") + 1 for frame in frames(state)]
    assert sizes == [500, 500, 200, 500, 500, 200]


def test_only_so_many_acknowledgements_are_repeated() -> None:
    """The newest, which may not have arrived."""
    state = WatchState()
    state.acknowledge(item(number) for number in range(10_500))
    frames(state)
    state.reconnected()
    repeated = frames(state)
    assert len(repeated) == 20
    assert repeated[0].startswith("ack i-500,")
    assert repeated[-1].endswith(",i-10499")


def test_a_source_has_caught_up_until_it_is_added_again() -> None:
    """By this process, or on another stream."""
    state = WatchState()
    state.add(source(1), ignore)
    state.catch_up([source(1), source(2)])
    assert state.has_caught_up(source(1))
    assert not state.has_caught_up(source(2)), "nobody watches it"
    state.add(source(1), ignore)
    assert not state.has_caught_up(source(1))
    state.catch_up([source(1)])
    state.reconnected()
    assert not state.has_caught_up(source(1))
    state.catch_up([source(1)])
    state.remove(source(1))
    assert not state.has_caught_up(source(1))


def test_a_source_is_unsaid_until_its_frame_is_made() -> None:
    """Acknowledgements that come meanwhile go before it."""
    state = WatchState()
    state.add(source(1), ignore)
    assert state.is_unsaid(source(1))
    state.acknowledge([item(1)])
    assert frames(state) == ["ack i-1", "+e-1"]
    assert not state.is_unsaid(source(1))


class Call:
    """A stream whose server says nothing."""

    def __init__(self) -> None:
        self.written: asyncio.Queue[str] = asyncio.Queue()
        self._over = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[pb.WatchOutcomesResponse]:
        """Return the server's frames."""
        return self

    async def __anext__(self) -> pb.WatchOutcomesResponse:
        """Wait for the end."""
        await self._over.wait()
        raise StopAsyncIteration

    async def write(self, frame: pb.WatchOutcomesRequest) -> None:
        """Take a frame."""
        self.written.put_nowait(_short(frame))

    async def done_writing(self) -> None:
        """Close our side, and the server's with it."""
        self._over.set()

    def cancel(self) -> None:
        """End."""
        self._over.set()


class Stub:
    """A service with one stream."""

    def __init__(self) -> None:
        self.call = Call()

    def WatchOutcomes(self) -> Call:  # noqa: N802 - as the contract names it
        """Return the stream."""
        return self.call


@pytest.fixture
async def stub() -> Stub:
    """Return a service."""
    return Stub()


@pytest.fixture
async def watch(stub: Stub) -> AsyncIterator[OutcomeWatch]:
    """Return a watcher of one source."""
    made = OutcomeWatch(cast("WorkItemServiceAsyncStub", stub), Random(1))
    made.add(source(1), ignore)
    assert await stub.call.written.get() == "+e-1"
    yield made
    await made.close()


async def test_acknowledgements_wait_a_moment_for_others(watch: OutcomeWatch, stub: Stub) -> None:
    """What is recorded one by one is said in one frame."""
    for number in range(3):
        watch.acknowledge([item(number)])
        await asyncio.sleep(0)
    assert await stub.call.written.get() == "ack i-0,i-1,i-2"
    watch.acknowledge([item(3)])
    assert await stub.call.written.get() == "ack i-3"


async def test_a_frame_of_acknowledgements_does_not_wait(watch: OutcomeWatch, stub: Stub) -> None:
    """It cannot become larger."""
    watch.acknowledge([item(number) for number in range(500)])
    for _ in range(5):
        await asyncio.sleep(0)
    assert stub.call.written.get_nowait().startswith("ack i-0,")


async def test_acknowledgements_go_with_whatever_else_is_said(watch: OutcomeWatch, stub: Stub) -> None:
    """And before it: a source that is added must not bring them again."""
    watch.acknowledge([item(1)])
    watch.add(source(2), ignore)
    assert [await stub.call.written.get() for _ in range(2)] == ["ack i-1", "+e-2"]


async def test_a_close_says_the_acknowledgements_that_wait(watch: OutcomeWatch, stub: Stub) -> None:
    """Nothing recorded comes again after it."""
    watch.acknowledge([item(1)])
    await watch.close()
    assert stub.call.written.get_nowait() == "ack i-1"
