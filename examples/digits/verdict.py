"""What came of a run of the demo: the tables it prints, and what is wrong with it."""

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.v1.work_item_pb2 import Attempt, AttemptEnd, WorkItem
from bloge_orchestrator import ExecutionResult, ExecutionStatus, NodeResult
from examples.digits import data
from examples.digits.operators import Prepared

ENOUGH = 0.95
"""The least accuracy on held-out scans."""


def problems(result: ExecutionResult, killed: WorkItem | None) -> list[str]:
    """Say what is wrong with a run: nothing, if the answers are right although a worker was killed."""
    if result.status is not ExecutionStatus.COMPLETED:
        lost = (node for node in result.nodes.values() if not node.status.has_output)
        return [f"{node.node_id} {node.status}: {node.error or node.reason}" for node in lost]
    accuracy = result.nodes["report"].output["accuracy"]
    workers = {attempt.worker_id for attempt in killed.attempts} if killed else set()
    checks = [
        (accuracy >= ENOUGH, f"the accuracy is {accuracy:.3f}; it should be at least {ENOUGH}"),
        (_is_unseen(result.nodes["prepareBatch"].output), "the model was fitted on some of the scans"),
        (killed is not None, "no worker was in the middle of an item, so none was killed"),
        (len(workers) != 1, f"nobody but {', '.join(workers)} had the item of the killed worker"),
    ]
    return [problem for passed, problem in checks if not passed]


def node_table(result: ExecutionResult, items: Mapping[str, WorkItem]) -> list[tuple[str, ...]]:
    """Give a row for each node, below the headings."""
    rows = [_node_row(node, items.get(node.node_id)) for node in result.nodes.values()]
    return [("node", "status", "attempts", "claims", "where", "time"), *rows]


def history(item: WorkItem) -> list[tuple[str, ...]]:
    """Give a row for each claim of an item, below the headings. Times count from the first claim."""
    start = _seconds(item.attempts[0].claim_time)
    rows = [_claim_row(number, attempt, start) for number, attempt in enumerate(item.attempts, 1)]
    return [("claim", "worker", "attempt", "from", "to", "ended"), *rows]


def _is_unseen(prepared: Prepared) -> bool:
    """Tell whether no image of the batches was used to fit the model."""
    fitting, _ = data.split(data.load())
    seen = set(map(tuple, fitting.pixels.tolist()))
    return seen.isdisjoint(tuple(image) for batch in prepared["batches"] for image in batch)


def _node_row(node: NodeResult, item: WorkItem | None) -> tuple[str, ...]:
    workers = [attempt.worker_id for attempt in item.attempts] if item else []
    time = f"{node.duration.total_seconds():.2f} s" if node.duration else ""
    where = ", then ".join(workers) if item else "orchestrator"
    return (node.node_id, node.status, str(node.attempts), str(len(workers) or ""), where, time)


def _claim_row(number: int, attempt: Attempt, start: float) -> tuple[str, ...]:
    begin, end = (f"{_seconds(time) - start:.2f} s" for time in (attempt.claim_time, attempt.end_time))
    how = AttemptEnd.Name(attempt.end).removeprefix("ATTEMPT_END_")
    return (str(number), attempt.worker_id, str(attempt.attempt), begin, end, how)


def _seconds(time: Timestamp) -> float:
    return time.ToNanoseconds() / 1e9
