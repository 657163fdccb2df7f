"""Enqueues of all executions, together and for as long as need be."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.enqueuing import MOST_AT_ONCE, Enqueuer, Refusal
from bloge_orchestrator.patience import Patience

FULL = RemoteWorkersError(Reason.BACKLOG_FULL, "no room")
BAD = RemoteWorkersError(Reason.TOO_LARGE, "too many bytes")


def item(item_id: str, topic: str = "t") -> pb.WorkItemSpec:
    """Return an item."""
    return pb.WorkItemSpec(item_id=item_id, worker_topic=topic)


class Server:
    """Takes requests when the test lets it, and refuses what the test says."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.refusals: dict[str, list[RemoteWorkersError]] = {}

    async def enqueue(self, items: Sequence[pb.WorkItemSpec]) -> list[Refusal]:
        """Answer one request."""
        self.requests.append([each.item_id for each in items])
        self.arrived.set()
        await self.open.wait()
        return [self._answer(each.item_id) for each in items]

    def _answer(self, item_id: str) -> Refusal:
        waiting = self.refusals.get(item_id)
        return waiting.pop(0) if waiting else None


@pytest.fixture
async def server() -> Server:
    """A server that takes everything."""
    return Server()


@pytest.fixture
async def enqueuer(server: Server, monkeypatch: pytest.MonkeyPatch) -> Enqueuer:
    """Enqueues at the server, and tries again without a pause."""

    async def at_once(_patience: Patience, _cause: Exception) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Patience, "wait", at_once)
    return Enqueuer(server.enqueue, Random(7))


async def test_what_comes_while_a_request_is_on_its_way_goes_with_the_next(server: Server, enqueuer: Enqueuer) -> None:
    """Whatever execution it is of."""
    server.open.clear()
    first = asyncio.create_task(enqueuer.enqueue([item("a")]))
    await server.arrived.wait()
    others = [asyncio.create_task(enqueuer.enqueue([item(name), item(f"{name}{name}")])) for name in "bcd"]
    await asyncio.wait(others, timeout=0)
    server.open.set()
    await asyncio.gather(first, *others)
    assert server.requests == [["a"], ["b", "bb", "c", "cc", "d", "dd"]]


async def test_requests_are_bounded(server: Server, enqueuer: Enqueuer) -> None:
    """However much there is."""
    assert await enqueuer.enqueue([item(str(number)) for number in range(1201)]) == [None] * 1201
    assert [len(request) for request in server.requests] == [MOST_AT_ONCE, MOST_AT_ONCE, 201]


async def test_refusals_that_time_mends_are_tried_again(server: Server, enqueuer: Enqueuer) -> None:
    """The others are told to whom they concern; each answer stands at its place."""
    server.refusals = {"a": [FULL, FULL], "b": [BAD], "c": [FULL, BAD]}
    answers = await enqueuer.enqueue([item("a"), item("b"), item("c"), item("d")])
    assert answers == [None, BAD, BAD, None]
    assert server.requests == [["a", "b", "c", "d"], ["a", "c"], ["a"]]


async def test_a_full_topic_holds_up_no_other(server: Server, enqueuer: Enqueuer) -> None:
    """Each topic has a lane of its own."""
    server.refusals = {"a": [FULL] * 1_000_000}
    stuck = asyncio.create_task(enqueuer.enqueue([item("a", "full")]))
    await server.arrived.wait()
    assert await enqueuer.enqueue([item("b", "other")]) == [None]
    assert not stuck.done()
    stuck.cancel()
    await enqueuer.close()


async def test_what_is_taken_back_is_not_enqueued(server: Server, enqueuer: Enqueuer) -> None:
    """Unless it is on its way: then it is waited for."""
    server.open.clear()
    first = asyncio.create_task(enqueuer.enqueue([item("a")]))
    await server.arrived.wait()
    second = asyncio.create_task(enqueuer.enqueue([item("b"), item("c")]))
    await asyncio.wait([second], timeout=0)
    taking_back = asyncio.create_task(enqueuer.withdraw("t", ["a", "b", "nothing"]))
    await asyncio.wait([taking_back], timeout=0)
    assert not taking_back.done(), "a is on its way"
    server.open.set()
    await taking_back
    assert (await first, await second) == ([None], [None, None])
    assert server.requests == [["a"], ["c"]]


async def test_what_is_taken_back_is_not_tried_again(server: Server, enqueuer: Enqueuer) -> None:
    """It was on its way, and there was no room."""
    server.open.clear()
    server.refusals = {"a": [FULL] * 1_000_000}
    enqueuing = asyncio.create_task(enqueuer.enqueue([item("a")]))
    await server.arrived.wait()
    taking_back = asyncio.create_task(enqueuer.withdraw("t", ["a"]))
    await asyncio.wait([taking_back], timeout=0)
    server.open.set()
    await taking_back
    assert await enqueuing == [FULL]


async def test_who_gives_up_takes_its_items_with_it(server: Server, enqueuer: Enqueuer) -> None:
    """An execution that is lost enqueues nothing more."""
    server.open.clear()
    first = asyncio.create_task(enqueuer.enqueue([item("a")]))
    await server.arrived.wait()
    second = asyncio.create_task(enqueuer.enqueue([item("b")]))
    await asyncio.wait([second], timeout=0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    server.open.set()
    assert await first == [None]
    assert await enqueuer.enqueue([item("c")]) == [None]
    assert server.requests == [["a"], ["c"]]


async def test_a_defect_is_told_to_everybody_who_waits(enqueuer: Enqueuer, server: Server) -> None:
    """Nobody waits for ever; what comes later is tried again."""

    async def broken(_: object) -> list[Refusal]:
        raise ValueError("no such answer")

    failing = Enqueuer(broken, Random(7))
    for _ in range(2):
        with pytest.raises(ValueError, match="no such answer"):
            await failing.enqueue([item("a")])
