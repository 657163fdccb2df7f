"""The order in which a session's frames go out."""

import asyncio

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge_server.rpc.frames import MOST_WAITING, FrameQueue

OFFERS = pb.WorkResponse(offers=pb.Offers(offer_sequence=1))
URGENT = [
    pb.WorkResponse(verdicts=pb.Verdicts(verdicts=[lease_pb2.Verdict(report_id=1)])),
    pb.WorkResponse(cancels=pb.Cancels()),
    pb.WorkResponse(ping=pb.Ping(ping_id=1)),
    pb.WorkResponse(draining=pb.Draining()),
    pb.WorkResponse(welcome=pb.Welcome()),
]


async def test_nothing_waits_behind_offers() -> None:
    """Whatever is not an offer goes first, in its own order."""
    frames = FrameQueue()
    for frame in (OFFERS, *URGENT, OFFERS):
        frames.put(frame)
    frames.close()
    assert [frame async for frame in frames.drain()] == [*URGENT, OFFERS, OFFERS]


async def test_an_urgent_frame_overtakes_offers_that_wait() -> None:
    """A frame that comes while offers are being sent is next."""
    frames = FrameQueue()
    frames.put(OFFERS)
    frames.put(OFFERS)
    draining = frames.drain()
    assert await anext(draining) == OFFERS
    frames.put(URGENT[1])
    assert await anext(draining) == URGENT[1]
    assert await anext(draining) == OFFERS
    await draining.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_a_waiting_reader_is_woken_by_a_frame() -> None:
    """The reader waits for frames without polling."""
    frames = FrameQueue()
    draining = frames.drain()
    waiting = asyncio.ensure_future(anext(draining))
    await asyncio.wait({waiting}, timeout=0)
    assert not waiting.done()
    frames.put(OFFERS)
    assert await waiting == OFFERS


async def test_what_is_there_goes_out_before_the_error() -> None:
    """A session that breaks still sends the verdicts it has, then tells why it ended."""
    frames = FrameQueue()
    frames.put(URGENT[0])
    frames.close(RemoteWorkersError(Reason.STORE_UNAVAILABLE, "gone"))
    draining = frames.drain()
    assert await anext(draining) == URGENT[0]
    with pytest.raises(RemoteWorkersError, match="gone"):
        await anext(draining)


async def test_the_first_error_is_told() -> None:
    """Closing again neither hides the error nor replaces it."""
    frames = FrameQueue()
    frames.close(RemoteWorkersError(Reason.INTERNAL, "first"))
    frames.close(RemoteWorkersError(Reason.INTERNAL, "second"))
    frames.close()
    with pytest.raises(RemoteWorkersError, match="first"):
        await anext(frames.drain())


async def test_a_closed_queue_without_error_just_ends() -> None:
    """The stream then ends with OK."""
    frames = FrameQueue()
    frames.close()
    assert [frame async for frame in frames.drain()] == []


async def test_who_does_not_take_frames_gets_no_room_for_more() -> None:
    """Answers would else pile up in the server. A frame taken makes room; a closed queue keeps nobody waiting."""
    frames = FrameQueue()
    for _ in range(MOST_WAITING):
        await frames.room()
        frames.put(URGENT[0])
    waiting = asyncio.ensure_future(frames.room())
    draining = frames.drain()
    await anext(draining)
    assert not waiting.done()
    await anext(draining)
    await waiting
    frames.put(URGENT[0])
    frames.put(URGENT[0])
    waiting = asyncio.ensure_future(frames.room())
    await asyncio.wait({waiting}, timeout=0)
    assert not waiting.done()
    frames.close()
    await waiting
