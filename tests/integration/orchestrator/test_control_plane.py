"""The client on a real server."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1.work_item_service_pb2 import EnqueueRequest
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.errors import ControlPlaneUnreachableError
from bloge_orchestrator.outcome_watch import ItemRef, OutcomeSource
from support.server import running_server
from support.unary_worker import UnaryWorker, unary_worker


def spec(item_id: str, payload: bytes = b"") -> pb.WorkItemSpec:
    """Return an item of topic `far`."""
    return pb.WorkItemSpec(item_id=item_id, worker_topic="far", payload=payload)


async def test_a_bad_item_does_not_spoil_the_others(server_address: str, namespace: str) -> None:
    """Though it refuses the request it is in; each answer stands at the place of its item."""
    async with ControlPlane(server_address) as control_plane:
        refusals = await control_plane.enqueue(namespace, [spec("a"), spec("b/b"), spec("c")])
        assert [refusal and refusal.reason for refusal in refusals] == [None, Reason.INVALID_FIELD, None]
        item = await control_plane.get(ItemRef(namespace, "far", "c"))
    assert item.status == pb.WORK_ITEM_STATUS_READY


async def test_enqueueing_again_is_harmless_unless_the_content_differs(server_address: str, namespace: str) -> None:
    """As after a crash between the journal and the enqueue."""
    async with ControlPlane(server_address) as control_plane:
        for payload, reason in ((b"1", None), (b"1", None), (b"2", Reason.CONTENT_DIFFERS)):
            (refusal,) = await control_plane.enqueue(namespace, [spec("a", payload)])
            assert (refusal and refusal.reason) == reason


async def test_more_than_fits_into_one_request(server_address: str, namespace: str) -> None:
    """Neither by number nor by bytes."""
    items = [spec(f"i-{number}") for number in range(1200)]
    items += [spec(f"b-{number}", bytes(900_000)) for number in range(6)]
    async with ControlPlane(server_address) as control_plane:
        assert await control_plane.enqueue(namespace, items) == [None] * len(items)
        assert (await control_plane.get(ItemRef(namespace, "far", "b-5"))).spec.payload == bytes(900_000)


async def test_enqueues_of_many_callers_share_requests(
    server_address: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each gets its own answer, and one that is refused takes no other along."""
    async with ControlPlane(server_address) as control_plane:
        requests: list[int] = []
        send = control_plane._items.Enqueue

        def counted(request: EnqueueRequest, *, timeout: float) -> object:
            requests.append(len(request.items))
            return send(request, timeout=timeout)

        monkeypatch.setattr(control_plane._items, "Enqueue", counted)
        names = [*(f"i-{number}" for number in range(19)), "b/b"]
        answers = await asyncio.gather(*(control_plane.enqueue(namespace, [spec(name)]) for name in names))
        assert [bool(refusal) for (refusal,) in answers] == [name == "b/b" for name in names]
        assert requests == [1, 1, 18, *[1] * 18]  # the request with the bad item was refused, and its items sent alone
        assert (await control_plane.get(ItemRef(namespace, "far", "i-18"))).status == pb.WORK_ITEM_STATUS_READY


async def test_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    """Until workers make room."""
    with running_server(tmp_path, "--backlog-limit", "1") as address, unary_worker(address, "default", "far") as worker:
        async with ControlPlane(address) as control_plane:
            enqueuing = asyncio.create_task(control_plane.enqueue("default", [spec("a"), spec("b")]))
            for _ in range(2):
                lease = await asyncio.to_thread(worker.claim)
                await asyncio.to_thread(worker.complete, lease, 1)
            assert await enqueuing == [None, None]


async def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """For each item, so that all of them are tried again."""
    async with ControlPlane(f"unix:{tmp_path}/nobody.sock") as control_plane:
        with pytest.raises(ControlPlaneUnreachableError):
            await control_plane.check()
        refusals = await control_plane.try_enqueue("default", [spec("a"), spec("b")])
    assert [refusal and refusal.reason for refusal in refusals] == [Reason.STORE_UNAVAILABLE] * 2


async def test_what_a_plain_producer_needs(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """Enqueue, wait, and read the outcome."""
    ref = ItemRef(namespace, "far", "a")
    async with ControlPlane(server_address) as control_plane:
        await control_plane.enqueue(namespace, [spec("a")])
        assert await control_plane.await_outcome(ref, timedelta(milliseconds=50)) is None
        lease = await asyncio.to_thread(worker.claim)
        await asyncio.to_thread(worker.complete, lease, 7)
        outcome = await control_plane.await_outcome(ref, timedelta(seconds=10))
    assert outcome is not None
    assert outcome.output == b"7"


async def test_cancel_tells_about_each_item(server_address: str, namespace: str) -> None:
    """What is not there cannot be cancelled."""
    refs = [ItemRef(namespace, "far", item_id) for item_id in ("a", "nothing")]
    async with ControlPlane(server_address) as control_plane:
        await control_plane.enqueue(namespace, [spec("a")])
        done, refused = await control_plane.cancel(refs, "test")
    assert done is None
    assert refused is not None
    assert refused.reason is Reason.NOT_FOUND


async def test_an_outcome_that_cannot_be_taken_does_not_hold_up_the_others(
    server_address: str, namespace: str, worker: UnaryWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """All executions of a process share one stream."""
    taken: asyncio.Queue[pb.Outcome] = asyncio.Queue()

    choked = asyncio.Event()

    def choke(outcome: pb.Outcome) -> None:
        choked.set()
        raise ValueError("a kind that only a later release knows")

    def complete_both() -> None:
        for lease in (worker.claim(), worker.claim()):
            worker.complete(lease, 1)

    async with ControlPlane(server_address) as control_plane:
        control_plane.outcomes.add(OutcomeSource(namespace, "far", "bad"), choke)
        control_plane.outcomes.add(OutcomeSource(namespace, "far", "good"), taken.put_nowait)
        items = [pb.WorkItemSpec(item_id=group, worker_topic="far", reply_group=group) for group in ("bad", "good")]
        await control_plane.enqueue(namespace, items)
        await asyncio.to_thread(complete_both)
        await choked.wait()
        assert (await taken.get()).item.item_id == "good"
    assert "the outcome of work item bad cannot be taken" in caplog.text


async def test_refusals_and_silence_are_told_apart(server_address: str, namespace: str, tmp_path: Path) -> None:
    """A server that says no is not a server that says nothing."""
    ref = ItemRef(namespace, "far", "nothing")
    async with ControlPlane(server_address) as control_plane:
        with pytest.raises(RemoteWorkersError) as refused:
            await control_plane.get(ref)
    assert refused.value.reason is Reason.NOT_FOUND
    async with ControlPlane(f"unix:{tmp_path}/nobody.sock") as control_plane:
        with pytest.raises(ControlPlaneUnreachableError):
            await control_plane.get(ref)
