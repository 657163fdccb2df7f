"""Workers: listed, and asked to leave."""

from itertools import count

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from support.wire import PATIENCE, TOPIC, Wire, refused

DRAIN = ["worker-drain"]


def listed(wire: Wire, **request: object) -> pb.ListWorkersResponse:
    """Return a page of workers."""
    call = pb.ListWorkersRequest(namespace=wire.namespace, **request)  # type: ignore[arg-type]  # real fields
    return wire.ops.ListWorkers(call, timeout=PATIENCE)


def drain(wire: Wire, worker_id: str = "w1", **action: str) -> None:
    """Ask a worker to leave."""
    request = pb.DrainWorkerRequest(namespace=wire.namespace, worker_id=worker_id, action=pb.Action(**action))
    wire.ops.DrainWorker(request, timeout=PATIENCE)


def test_a_session_lists_its_worker(wire: Wire) -> None:
    """With what it said of itself, from its hello on."""
    with wire.session("w1", TOPIC, "other", slots=3, sdk="test/1"):
        (worker,) = listed(wire).workers
    assert (worker.worker_id, list(worker.worker_topics)) == ("w1", [TOPIC, "other"])
    assert (worker.slots, worker.sdk, worker.draining) == (3, "test/1", False)
    assert worker.last_seen_time.seconds > 0


def test_a_registration_lists_its_worker(wire: Wire) -> None:
    """A worker on the unary calls is a worker too."""
    wire.register("w1", TOPIC, slots=2)
    (worker,) = listed(wire).workers
    assert (worker.worker_id, list(worker.worker_topics), worker.slots) == ("w1", [TOPIC], 2)


def test_workers_are_listed_by_id_in_pages(wire: Wire) -> None:
    """A page token leads on, and the last page has none."""
    for worker_id in ("c", "a", "e", "b", "d"):
        wire.register(worker_id, "odd" if worker_id in "ace" else "even")
    first = listed(wire, page_size=2)
    second = listed(wire, page_size=2, page_token=first.next_page_token)
    third = listed(wire, page_size=2, page_token=second.next_page_token)
    assert [[worker.worker_id for worker in page.workers] for page in (first, second, third)] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert not third.next_page_token


def test_workers_are_listed_by_topic(wire: Wire) -> None:
    """The filter does not shorten pages."""
    for worker_id in "abcdef":
        wire.register(worker_id, "odd" if worker_id in "ace" else "even")
    first = listed(wire, page_size=2, worker_topic="odd")
    assert [worker.worker_id for worker in first.workers] == ["a", "c"]
    second = listed(wire, page_size=2, worker_topic="odd", page_token=first.next_page_token)
    assert [worker.worker_id for worker in second.workers] == ["e"]
    assert not second.next_page_token


def test_another_namespace_has_other_workers(wire: Wire) -> None:
    """A namespace is a boundary."""
    with wire.session("w1"):
        assert not wire.ops.ListWorkers(pb.ListWorkersRequest(namespace=f"{wire.namespace}-2")).workers


@pytest.mark.parametrize("request_fields", [{"page_size": 1001}, {"worker_topic": "a b"}, {"page_token": "x"}])
def test_a_wrong_field_of_a_list_is_told(wire: Wire, request_fields: dict[str, object]) -> None:
    """By its name."""
    with refused() as told:
        listed(wire, **request_fields)
    assert [field.field for field in told[0].fields] == list(request_fields)


def test_a_drained_worker_is_told_and_gets_no_more(wire: Wire) -> None:
    """It finishes what it holds; new items go to others."""
    wire.put("held")
    with wire.session("w1", credit=9, capabilities=DRAIN) as session:
        session.leases(1)
        drain(wire)
        draining = session.expect("draining")
        assert draining.worker
        assert not draining.HasField("grace")
        wire.put("new")
        session.settle()
        assert [lease.spec.item_id for lease in wire.claim(worker="w2")] == ["new"]
        assert [worker.draining for worker in listed(wire).workers] == [True]


def test_a_worker_that_does_not_know_the_frame_just_gets_no_more(wire: Wire) -> None:
    """To it the frame would say that the server leaves."""
    with wire.session("w1", credit=9) as session:
        drain(wire)
        numbers = count()
        wire.put(f"new-{next(numbers)}")
        while not wire.claim(worker="w2"):  # this server has not heard of it yet
            session.settle()
            wire.put(f"new-{next(numbers)}")
        session.close()
        assert "draining" not in [frame.WhichOneof("frame") for frame in session.rest()]


def test_a_drain_outlives_the_session(wire: Wire) -> None:
    """A worker that comes back is told again: what was asked of the process is not undone by a lost stream."""
    with wire.session("w1", capabilities=DRAIN) as session:
        drain(wire)
        session.expect("draining")
    with wire.session("w1", capabilities=DRAIN) as session:
        assert session.expect("draining").worker
    with wire.session("w1-next-life", capabilities=DRAIN) as session:
        session.settle()
        session.close()
        assert session.rest() == []


def test_a_drained_worker_is_told_by_its_next_claim(wire: Wire) -> None:
    """On the unary calls nobody can be pushed."""
    wire.register("w1", TOPIC)
    wire.put("a")
    drain(wire)
    while not (answer := wire.claim_response(worker="w1")).draining:
        wire.release(*answer.leases)
    assert not answer.leases
    assert [lease.spec.item_id for lease in wire.claim(worker="w2")] == ["a"]


def test_a_worker_that_nobody_saw_cannot_be_drained(wire: Wire) -> None:
    """A misspelt id is told."""
    with refused() as told:
        drain(wire, "nobody")
    assert told[0].reason is Reason.NOT_FOUND


def test_the_same_drain_twice_is_one(wire: Wire) -> None:
    """As with every action: the request id makes it safe to repeat, for the same thing only."""
    for worker_id in ("w1", "w2"):
        wire.register(worker_id, TOPIC)
    drain(wire, "w1", request_id="r1")
    drain(wire, "w1", request_id="r1")
    with refused() as told:
        drain(wire, "w2", request_id="r1")
    assert told[0].reason is Reason.CONTENT_DIFFERS
