"""What is enqueued for a remote node, and what comes back."""

from datetime import timedelta

import pytest

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import ExecutionContext, RemoteWorkerOperator, RetryPolicy
from bloge_orchestrator.execution.events import OutcomeKind
from bloge_orchestrator.execution.failure import NodeError
from bloge_orchestrator.execution.work_items import ItemOutcome, item_id_of, outcome_of, work_item
from bloge_orchestrator.graph import BackoffStrategy, OnDeadLetter

CONTEXT = ExecutionContext("g", "e-1", "n", namespace="default")
ITEM = pb.WorkItemRef(namespace="default", worker_topic="t", item_id="e-1.n.1")


def spec_of(operator: RemoteWorkerOperator, retries_left: int = 0) -> pb.WorkItemSpec:
    """Return the item of an operator."""
    return pb.WorkItemSpec.FromString(work_item(operator, CONTEXT, "e-1.n.1", b"{}", retries_left))


def test_the_item_carries_the_policies_of_the_node() -> None:
    """Budget left, backoff, types, deadline, and where the outcome goes."""
    retry = RetryPolicy(
        5, timedelta(milliseconds=500), BackoffStrategy.JITTER, timedelta(seconds=9), ("Fatal", "Worse")
    )
    operator = RemoteWorkerOperator("Far", "t", retry, timedelta(minutes=2), OnDeadLetter.RESUME_WITH_FAILURE)
    spec = spec_of(operator, retries_left=3)
    assert spec.payload == b"{}"
    assert spec.item_type == pb.WORK_ITEM_TYPE_EXECUTE_NODE
    assert spec.retry_policy.attempts == 3
    assert spec.retry_policy.backoff.ToMilliseconds() == 500
    assert spec.retry_policy.strategy == pb.BACKOFF_STRATEGY_JITTER
    assert spec.retry_policy.max_backoff.ToMilliseconds() == 9000
    assert list(spec.retry_policy.non_retryable_error_types) == ["Fatal", "Worse"]
    assert spec.suspend_timeout.ToMilliseconds() == 120_000
    assert spec.on_dead_letter == pb.ON_DEAD_LETTER_RESUME_WITH_FAILURE
    assert (spec.reply_group, spec.execution_id, spec.node_id, spec.operator_ref) == ("e-1", "e-1", "n", "Far")


@pytest.mark.parametrize(
    ("timeout", "attempt_timeout"),
    [
        (None, None),
        (timedelta(minutes=5), None),
        (timedelta(hours=1), None),
        (timedelta(hours=5), timedelta(hours=5)),
        (timedelta(days=30), timedelta(days=30)),
        (timedelta(days=31), timedelta(0)),
    ],
)
def test_a_worker_may_use_all_the_time_that_the_node_has(
    timeout: timedelta | None, attempt_timeout: timedelta | None
) -> None:
    """The server would stop an attempt after an hour; what it cannot express is without limit."""
    spec = spec_of(RemoteWorkerOperator("Far", "t", timeout=timeout))
    assert spec.HasField("suspend_timeout") == (timeout is not None)
    given = spec.attempt_timeout.ToTimedelta() if spec.HasField("attempt_timeout") else None
    assert given == attempt_timeout


@pytest.mark.parametrize(
    ("execution_id", "node_id", "number"),
    [("e" * 128, "n", 1), ("e", "n" * 128, 1), ("e", "a.b", 1), ("e.a", "b.c", 2)],
)
def test_an_id_that_would_not_do_is_a_digest(execution_id: str, node_id: str, number: int) -> None:
    """Too long, or with a dot that could stand elsewhere: it is still a name, and still the same every time."""
    item_id = item_id_of(execution_id, node_id, number)
    assert len(item_id) == 64
    assert item_id == item_id_of(execution_id, node_id, number)


def test_ids_do_not_collide() -> None:
    """Dots in names do not make two items one."""
    names = ["a", "b", "a.b", "b.a", "a.b.a", "1", "a.1", "1.a"]
    ids = {item_id_of(execution, node, number) for execution in names for node in names for number in (1, 11)}
    assert len(ids) == len(names) ** 2 * 2


def test_an_ordinary_id_can_be_read() -> None:
    """It names the execution, the node and the number of the item."""
    assert item_id_of("e-1", "infer", 2) == "e-1.infer.2"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            pb.Outcome(kind=pb.OUTCOME_KIND_COMPLETED, item=ITEM, node_id="n", output=b"1", worker_id="w"),
            ItemOutcome("e-1.n.1", "n", OutcomeKind.COMPLETED, output=b"1", worker_id="w"),
        ),
        (
            pb.Outcome(
                kind=pb.OUTCOME_KIND_TIMED_OUT,
                item=ITEM,
                node_id="n",
                retry_count=2,
                dead_letter_reason=pb.DEAD_LETTER_REASON_LEASE_LOST,
            ),
            ItemOutcome("e-1.n.1", "n", OutcomeKind.TIMED_OUT, retry_count=2, dead_letter_reason="LEASE_LOST"),
        ),
        (
            pb.Outcome(
                kind=pb.OUTCOME_KIND_FAILED,
                item=ITEM,
                node_id="n",
                failure=pb.Failure(type="ValueError", message="no", traceback="..."),
            ),
            ItemOutcome("e-1.n.1", "n", OutcomeKind.FAILED, error=NodeError("ValueError", "no", traceback="...")),
        ),
        (
            pb.Outcome(
                kind=pb.OUTCOME_KIND_FAILED,
                item=ITEM,
                node_id="n",
                business_error=pb.BusinessError(code="C", message="m", details=b'{"a":1}'),
            ),
            ItemOutcome("e-1.n.1", "n", OutcomeKind.FAILED, error=NodeError("C", "m", business=True, details={"a": 1})),
        ),
        (
            pb.Outcome(
                kind=pb.OUTCOME_KIND_FAILED,
                item=ITEM,
                node_id="n",
                business_error=pb.BusinessError(code="C", details=b"{broken"),
            ),
            ItemOutcome("e-1.n.1", "n", OutcomeKind.FAILED, error=NodeError("C", business=True, details="{broken")),
        ),
    ],
)
def test_what_an_outcome_on_the_wire_says(message: pb.Outcome, expected: ItemOutcome) -> None:
    """Details that are not JSON are kept as text."""
    assert outcome_of(message) == expected
