"""Streams whose worker neither reads nor speaks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge_server.dispatch.claims import ClaimPump
from bloge_server.rpc import worker_service
from bloge_server.rpc.frames import MOST_WAITING
from bloge_server.rpc.work_stream import StreamSettings
from bloge_server.rpc.worker_service import WorkerService
from bloge_server.services.presence import Presence
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.workers import WorkerList

SETTINGS = StreamSettings(
    lease_ms=1000, offer_lease_ms=500, ping_ms=10, silence_ms=30, max_payload_bytes=1000, server_version="test"
)


class Nobody:
    """A store and a list of workers that know nothing."""

    async def note(self, *_: Any) -> tuple[int, set[str]]:
        """Take note."""
        return 1, set()

    async def tell_session(self, *_: Any) -> None:
        """Tell nobody."""


async def hello_then_silence() -> AsyncIterator[pb.WorkRequest]:
    """Say hello, and nothing more."""
    yield pb.WorkRequest(hello=pb.Hello(worker_id="w1", worker_topics=["topic"]))
    await asyncio.Event().wait()


async def silence() -> AsyncIterator[pb.WorkRequest]:
    """Say nothing at all."""
    await asyncio.Event().wait()
    yield pb.WorkRequest()


def make_service() -> tuple[WorkerService, ClaimPump]:
    """Return a service without a store, and its pump."""
    nobody = Nobody()
    pump = ClaimPump(cast("RedisStore", nobody), lambda _topics: None)
    presence = Presence(cast("WorkerList", nobody))
    return WorkerService(cast("RedisStore", nobody), pump, presence, SETTINGS), pump


async def test_a_stream_without_hello_is_refused_after_the_silence_limit() -> None:
    """Whoever opens a stream and says nothing does not stay for ever."""
    service, _ = make_service()
    work = cast("Any", WorkerService.Work).__wrapped__
    with pytest.raises(RemoteWorkersError, match=r"no Hello within 0\.03 s") as told:
        async with asyncio.timeout(20):
            await anext(work(service, silence()))
    assert told.value.reason is Reason.PROTOCOL_VIOLATION


async def test_a_stream_that_nobody_reads_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of its session is not enough: its handler waits in a write that never ends."""
    monkeypatch.setattr(worker_service, "_LAST_WORDS_SECONDS", 0.01)
    service, pump = make_service()
    writing = asyncio.Event()

    async def call() -> None:
        """Take a frame, and never another, as a full connection does."""
        async for _ in service.Work(hello_then_silence(), cast("Any", None)):
            writing.set()
            await asyncio.Event().wait()

    handler = asyncio.create_task(call())
    await writing.wait()
    ended, _ = await asyncio.wait([handler], timeout=20)
    assert ended, "the handler was left waiting"
    assert handler.cancelled()
    assert list(service.sessions.cards()) == []
    assert pump.topics == set()


async def test_no_more_is_read_from_a_worker_that_takes_no_answers() -> None:
    """Its questions would else fill the server's memory with answers."""
    service, _ = make_service()
    asked = 0

    async def endless_questions() -> AsyncIterator[pb.WorkRequest]:
        """Say hello, then ask and ask."""
        nonlocal asked
        yield pb.WorkRequest(hello=pb.Hello(worker_id="w1", worker_topics=["topic"]))
        while True:
            asked += 1
            yield pb.WorkRequest(ping=pb.Ping(ping_id=asked))
            await asyncio.sleep(0)

    frames = cast("Any", WorkerService.Work).__wrapped__(service, endless_questions())
    assert (await anext(frames)).WhichOneof("frame") == "welcome"
    for _ in range(10 * MOST_WAITING):
        await asyncio.sleep(0)
    assert asked <= MOST_WAITING + 1
    await frames.aclose()
