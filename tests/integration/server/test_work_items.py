"""What an enqueuer says and asks, over the wire."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.status import from_status
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_item_service_pb2 as calls
from support.wire import PATIENCE, TOPIC, Wire, refused, seconds


def spec(item_id: str = "a", **changes: object) -> pb.WorkItemSpec:
    """Return a description."""
    return pb.WorkItemSpec(**{"item_id": item_id, "worker_topic": TOPIC, **changes})  # type: ignore[arg-type]  # real fields


def test_the_same_enqueue_again_changes_nothing(wire: Wire) -> None:
    """An enqueuer that is not sure says it again, even with another trace."""
    trace = pb.TraceContext(traceparent="00-1")
    (first,) = wire.enqueue(spec(payload=b"in"))
    (again,) = wire.enqueue(spec(payload=b"in", trace_context=trace))
    assert (first.created, again.created) == (True, False)
    assert not again.HasField("error")
    assert not wire.get().spec.HasField("trace_context")


def test_another_content_under_the_same_id_is_refused(wire: Wire) -> None:
    """The item that is there stays as it is; the others of the batch stand."""
    wire.put("a", payload=b"in")
    differs, created = wire.enqueue(spec("a", payload=b"other"), spec("b"))
    assert created.created
    assert not differs.created
    assert differs.error.code == grpc.StatusCode.ALREADY_EXISTS.value[0]
    assert from_status(differs.error).reason is Reason.CONTENT_DIFFERS
    assert wire.get("a").spec.payload == b"in"


def test_an_id_twice_in_one_batch_is_one_item(wire: Wire) -> None:
    """Results stand in the order of the descriptions."""
    results = wire.enqueue(spec("a"), spec("b"), spec("a"), spec("a", priority=1))
    assert [(each.item_id, each.created) for each in results] == [("a", True), ("b", True), ("a", False), ("a", False)]
    assert [each.HasField("error") for each in results] == [False, False, False, True]


def test_a_batch_may_name_several_topics(wire: Wire) -> None:
    """Results stand in the order of the descriptions whatever the topics."""
    results = wire.enqueue(spec("a"), spec("b", worker_topic="other"), spec("c"))
    assert [each.item_id for each in results] == ["a", "b", "c"]
    assert wire.get("b", "other").item.worker_topic == "other"


def test_an_invalid_item_refuses_the_whole_batch(wire: Wire) -> None:
    """Nothing is stored, and every field of every item is told."""
    with refused() as told:
        wire.enqueue(spec("a"), spec("b/", priority=100), spec("c", worker_topic=""))
    assert told[0].reason is Reason.INVALID_FIELD
    assert [each.field for each in told[0].fields] == ["items[1].item_id", "items[1].priority", "items[2].worker_topic"]
    with refused() as missing:
        wire.get("a")
    assert missing[0].reason is Reason.NOT_FOUND


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_has_one_to_five_hundred_items(wire: Wire, count: int) -> None:
    """The refusal names the batch."""
    with refused() as told:
        wire.enqueue(*(spec(f"i{index}") for index in range(count)))
    assert [each.field for each in told[0].fields] == ["items"]


def test_hundreds_of_invalid_items_are_refused_readably(wire: Wire) -> None:
    """A long list of violations is cut rather than lost with the trailer that carries it."""
    with refused() as told:
        wire.enqueue(*(spec(f"no good {index}", priority=200) for index in range(500)))
    assert told[0].reason is Reason.INVALID_FIELD
    assert "1000 field(s)" in told[0].message
    assert told[0].fields[0].field == "items[0].item_id"


def test_a_payload_over_the_limit_is_too_large(wire: Wire) -> None:
    """The refusal tells both sizes; the limit itself is allowed."""
    limit = 1_048_576
    wire.put("a", payload=b"x" * limit)
    with refused() as told:
        wire.enqueue(spec("b"), spec("c", payload=b"x" * (limit + 1)))
    assert told[0].reason is Reason.TOO_LARGE
    assert told[0].metadata == {"limit_bytes": str(limit), "actual_bytes": str(limit + 1)}
    assert [each.field for each in told[0].fields] == ["items[1].payload"]


def test_a_full_topic_refuses_items_with_a_delay(hasty: Wire) -> None:
    """Only the items beyond the backlog limit; what is there already may be said again."""
    results = hasty.enqueue(*(spec(f"i{index}") for index in range(5)))
    assert [each.created for each in results] == [True, True, True, False, False]
    error = from_status(results[3].error)
    assert error.reason is Reason.BACKLOG_FULL
    assert error.retry_delay_seconds
    assert error.metadata["worker_topic"] == TOPIC
    assert results[3].error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    (again,) = hasty.enqueue(spec("i0"))
    assert not again.HasField("error")


def test_an_item_can_be_read_as_it_was_enqueued(wire: Wire) -> None:
    """With its status, its deadline and its place."""
    described = spec(
        payload=b"\x00\xff",
        priority=7,
        node_id="n",
        operator_ref="Op",
        execution_id="e1",
        suspend_timeout=seconds(60),
        trace_context=pb.TraceContext(traceparent="00-1"),
    )
    wire.enqueue(described)
    item = wire.get()
    assert item.spec == described
    assert item.item == wire.ref()
    assert (item.status, item.fence, item.worker_id) == (pb.WORK_ITEM_STATUS_READY, 0, "")
    assert item.suspend_deadline.ToMilliseconds() - item.enqueue_time.ToMilliseconds() == 60_000


def test_a_start_delay_holds_an_item_back(wire: Wire) -> None:
    """It waits until it is due, and nobody can claim it."""
    wire.put("a", start_delay=seconds(600))
    item = wire.get()
    assert item.status == pb.WORK_ITEM_STATUS_RETRY_WAIT
    assert item.due_time.ToMilliseconds() - item.enqueue_time.ToMilliseconds() == 600_000
    assert wire.claim() == []


def test_an_unknown_item_is_not_found(wire: Wire) -> None:
    """To read, to await, to cancel."""
    for ask in (wire.get, wire.await_outcome):
        with refused() as told:
            ask("nobody")
        assert told[0].reason is Reason.NOT_FOUND
    (result,) = wire.cancel("nobody")
    assert from_status(result.error).reason is Reason.NOT_FOUND


def test_an_empty_namespace_is_the_default(wire: Wire) -> None:
    """For everybody who needs no isolation."""
    item_id = wire.namespace[:100]
    wire.items.Enqueue(calls.EnqueueRequest(items=[spec(item_id)]), timeout=PATIENCE)
    ref = pb.WorkItemRef(namespace="default", worker_topic=TOPIC, item_id=item_id)
    assert wire.items.Get(calls.GetRequest(item=ref), timeout=PATIENCE).item.item == ref


def test_an_outcome_that_is_there_is_returned_at_once(wire: Wire) -> None:
    """With everything that a node needs to resume."""
    wire.put("a", execution_id="e1", node_id="n1")
    wire.complete(wire.claim_one(worker="w7"), output=b'{"x":1}')
    for wait in (0, 20):
        outcome = wire.await_outcome(wait=wait)
        assert outcome is not None
        assert (outcome.kind, outcome.output, outcome.worker_id) == (pb.OUTCOME_KIND_COMPLETED, b'{"x":1}', "w7")
        assert (outcome.execution_id, outcome.node_id) == ("e1", "n1")


def test_an_outcome_that_comes_later_ends_the_wait(wire: Wire) -> None:
    """A producer asks before the work is done."""
    wire.put("a")
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(wire.await_outcome) for _ in range(3)]
        wire.complete(wire.claim_one())
        outcomes = [each.result() for each in waiting]
    assert [outcome and outcome.kind for outcome in outcomes] == [pb.OUTCOME_KIND_COMPLETED] * 3


def test_no_outcome_in_time_is_an_empty_reply(wire: Wire) -> None:
    """It is not an error."""
    wire.put("a")
    assert wire.await_outcome(wait=0) is None
    assert wire.await_outcome(wait=0.05) is None


@pytest.mark.parametrize("wait", [-0.001, 600.001])
def test_a_wait_out_of_range_is_refused(wire: Wire, wait: float) -> None:
    """0 to 10 minutes."""
    with refused() as told:
        wire.await_outcome(wait=wait)
    assert [each.field for each in told[0].fields] == ["wait_timeout"]


def test_open_items_can_be_cancelled(wire: Wire) -> None:
    """Results in order; cancelling again says the same; an item with an outcome keeps it."""
    wire.put("ready", "held", "done")
    by_id = {lease.spec.item_id: lease for lease in wire.claim(3)}
    wire.release(by_id["ready"])
    wire.complete(by_id["done"])
    for _ in range(2):
        results = wire.cancel("ready", "held", "done", "nobody")
        assert [each.item.item_id for each in results] == ["ready", "held", "done", "nobody"]
        assert [each.cancelled for each in results] == [True, True, False, False]
    error = from_status(results[2].error)
    assert (error.reason, error.metadata) == (Reason.WRONG_STATUS, {"status": "DONE", "outcome": "COMPLETED"})
    assert from_status(results[3].error).reason is Reason.NOT_FOUND
    outcome = wire.await_outcome("held")
    assert outcome is not None
    assert outcome.kind == pb.OUTCOME_KIND_CANCELLED
    assert wire.complete(by_id["held"])[0].reason == Reason.CANCELLED.number


def test_a_suspend_deadline_ends_the_wait_of_a_node(wire: Wire) -> None:
    """The outcome says so, and with what the item had cost."""
    wire.put("a", suspend_timeout=seconds(0.3))
    outcome = wire.await_outcome()
    assert outcome is not None
    assert (outcome.kind, outcome.retry_count) == (pb.OUTCOME_KIND_TIMED_OUT, 0)
    assert wire.status() == "CANCELLED"


def test_a_reference_without_names_is_refused(wire: Wire) -> None:
    """Every missing part is told."""
    with refused() as told:
        wire.items.Get(calls.GetRequest(), timeout=PATIENCE)
    assert [each.field for each in told[0].fields] == ["item.worker_topic", "item.item_id"]
