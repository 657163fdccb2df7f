"""What must hold of an execution wherever its owner was killed."""

from collections import Counter
from collections.abc import Iterator, Mapping

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import ExecutionResult, ExecutionStatus
from bloge_orchestrator.execution.events import NODE_ENDS, GraphCompleted, GraphStarted, NodeEvent, NodeSuspended
from bloge_orchestrator.execution.work_items import item_id_of
from bloge_orchestrator.operators import Json
from crash.evidence import Evidence


def violations(evidence: Evidence, expected: ExecutionResult) -> Iterator[str]:
    """Yield what is not as it should be.

    Args:
        evidence: What the execution left behind.
        expected: What came of one whose owner was not killed.
    """
    yield from _other_results(evidence.result, expected)
    yield from _broken_journal(evidence)
    yield from _items_enqueued_otherwise(evidence)
    yield from _repeated_operators(evidence)
    if evidence.unacknowledged:
        yield f"{len(evidence.unacknowledged)} outcomes are left unacknowledged"
    if not evidence.execution.HasField("outcome"):
        yield "the execution's own work item has no outcome"


def _other_results(result: ExecutionResult, expected: ExecutionResult) -> Iterator[str]:
    found, wanted = _what_came_of(result), _what_came_of(expected)
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            yield f"{name or 'the execution'} is {found.get(name)}, without a crash {wanted.get(name)}"


def _what_came_of(result: ExecutionResult) -> Mapping[str, tuple[str, Json]]:
    nodes = {path: (node.status.value, node.output) for path, node in result.nodes.items()}
    return {"": (result.status.value, result.outputs), **nodes}


def _broken_journal(evidence: Evidence) -> Iterator[str]:
    events = evidence.events
    if [event.sequence for event in events] != list(range(1, len(events) + 1)):
        yield "sequence numbers have gaps, or come twice"
    for kind in (GraphStarted, GraphCompleted):
        if sum(isinstance(event, kind) for event in events) != 1:
            yield f"{kind.TYPE} is not there once"
    ends = Counter(event.node_id for event in events if isinstance(event, NODE_ENDS))
    yield from (f"node {node_id} ended {count} times" for node_id, count in ends.items() if count > 1)


def _items_enqueued_otherwise(evidence: Evidence) -> Iterator[str]:
    """Each suspension has one item, which is what was recorded; workers have seen no others, and each of them once."""
    stored = {item.spec.item_id: item for item in evidence.items}
    by_node: Counter[str] = Counter()
    for event in evidence.events:
        if not isinstance(event, NodeSuspended):
            continue
        by_node[event.node_id] += 1
        if event.item_id != item_id_of(evidence.execution_id, event.node_id, by_node[event.node_id]):
            yield f"{event.item_id} is not item {by_node[event.node_id]} of {event.node_id}"
        if event.item_id in stored:
            yield from _wrong_item(stored[event.item_id], event, evidence.worker_runs[event.item_id])
        elif evidence.result.status is not ExecutionStatus.CANCELLED:
            yield f"{event.item_id} was never enqueued"
    for item_id in evidence.worker_runs.keys() - stored.keys():
        yield f"{item_id} was run and is in no journal"


def _wrong_item(item: pb.WorkItem, event: NodeSuspended, runs: int) -> Iterator[str]:
    if item.spec.SerializeToString(deterministic=True) != _normal(event.work_item):
        yield f"{event.item_id} was enqueued with other contents than were recorded"
    if not item.HasField("outcome"):
        yield f"{event.item_id} is left without an outcome"
    if not runs == item.claim_count <= item.retry_count + 1:
        yield f"{event.item_id}: {item.retry_count} retries, {item.claim_count} claims, {runs} runs"


def _normal(encoded: bytes) -> bytes:
    return pb.WorkItemSpec.FromString(encoded).SerializeToString(deterministic=True)


def _repeated_operators(evidence: Evidence) -> Iterator[str]:
    """No operator begins once its node has ended; an attempt is made twice only if the process died during it."""
    ended = {event.node_id: event.at_ms for event in evidence.events if isinstance(event, NODE_ENDS)}
    for run in evidence.operator_runs:
        if run.at_ms > ended.get(run.node_id, run.at_ms):
            yield f"{run.node_id} ran again after its end"
    made = Counter((run.node_id, run.attempt) for run in evidence.operator_runs)
    started = {event.node_id for event in evidence.events if isinstance(event, NodeEvent)}
    for (node_id, attempt), count in made.items():
        if count > 1 + len(evidence.execution.attempts[1:]):
            yield f"attempt {attempt} of {node_id} was made {count} times"
        if node_id not in started:
            yield f"{node_id} ran and is in no journal"
