"""The work items of remote nodes: their ids, what is enqueued, and what their outcomes say."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.durations import format_duration
from bloge_orchestrator.execution.events import OutcomeKind
from bloge_orchestrator.execution.failure import CANCELLED, TIMED_OUT, Failure, NodeError
from bloge_orchestrator.graph import OnDeadLetter
from bloge_orchestrator.operators import ExecutionContext, Json
from bloge_orchestrator.remote import RemoteWorkerOperator

_ID_LENGTH = 128
_IN_ITEM_ID = str.maketrans({"/": "-", "[": "-", "]": "", "#": "--"})
_MARKS = re.compile("[.-]")
_DEFAULT_ATTEMPT_TIMEOUT = timedelta(hours=1)
_LONGEST_ATTEMPT_TIMEOUT = timedelta(days=30)
_NO_LIMIT = timedelta(0)
_STRATEGY_PREFIX = "BACKOFF_STRATEGY_"
_REASON_PREFIX = "DEAD_LETTER_REASON_"
_KIND_PREFIX = "OUTCOME_KIND_"

_HOPELESS = frozenset({"BUDGET_SPENT", "NON_RETRYABLE"})
"""Why an item became a dead letter that a fresh item would become too."""


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What resumes a node, as far as the node is concerned."""

    item_id: str
    node_id: str
    kind: OutcomeKind
    output: bytes = b""
    error: NodeError | None = None
    """FAILED: why."""
    retry_count: int = 0
    dead_letter_reason: str = ""
    worker_id: str = ""


def item_id_of(execution_id: str, path: str, number: int) -> str:
    """Give the id of a node's work item: always the same for the same execution, node and number of the item.

    It reads `execution.node.number`, with the parts of the node's path joined by `-`: `e-1.loop-3-infer.1`. It is a
    digest if that would be too long, or could mean two nodes because ids in the path have such marks themselves.
    """
    name = path.translate(_IN_ITEM_ID)
    readable = f"{execution_id}.{name}.{number}"
    if not _MARKS.search(path) and len(readable) <= _ID_LENGTH:
        return readable
    return hashlib.sha256(f"{execution_id}/{path}/{number}".encode()).hexdigest()


def work_item(
    operator: RemoteWorkerOperator, context: ExecutionContext, item_id: str, envelope: bytes, retries_left: int
) -> bytes:
    """Encode the item of a remote node: its envelope, and the node's policies as the server knows them.

    Args:
        operator: The node's operator.
        context: Where the node runs; outcomes go to the reply group of its execution.
        item_id: The item's id.
        envelope: The payload.
        retries_left: What is left of the node's retry budget.

    """
    retry = operator.retry
    policy = pb.RetryPolicy(
        attempts=retries_left,
        backoff=_duration(retry.backoff),
        strategy=pb.BackoffStrategy.Value(f"{_STRATEGY_PREFIX}{retry.strategy}"),
        max_backoff=None if retry.max_backoff is None else _duration(retry.max_backoff),
        non_retryable_error_types=retry.non_retryable,
    )
    resumes = operator.on_dead_letter is OnDeadLetter.RESUME_WITH_FAILURE
    spec = pb.WorkItemSpec(
        item_id=item_id,
        worker_topic=operator.worker_topic,
        payload=envelope,
        item_type=pb.WORK_ITEM_TYPE_EXECUTE_NODE,
        retry_policy=policy,
        attempt_timeout=_attempt_timeout(operator.timeout),
        suspend_timeout=None if operator.timeout is None else _duration(operator.timeout),
        on_dead_letter=pb.ON_DEAD_LETTER_RESUME_WITH_FAILURE if resumes else pb.ON_DEAD_LETTER_KEEP_SUSPENDED,
        reply_group=context.execution_id,
        execution_id=context.execution_id,
        node_id=context.node_id,
        operator_ref=operator.operator_ref,
    )
    return spec.SerializeToString()


def _attempt_timeout(timeout: timedelta | None) -> Duration | None:
    """Let a worker use all the time that the node has: the server's own limit is for nodes that name none."""
    if timeout is None or timeout <= _DEFAULT_ATTEMPT_TIMEOUT:
        return None
    return _duration(timeout if timeout <= _LONGEST_ATTEMPT_TIMEOUT else _NO_LIMIT)


def _duration(length: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(length)
    return duration


def outcome_of(message: pb.Outcome) -> ItemOutcome:
    """Read an outcome off the wire."""
    kind = OutcomeKind(pb.OutcomeKind.Name(message.kind).removeprefix(_KIND_PREFIX))
    reason = message.dead_letter_reason
    return ItemOutcome(
        item_id=message.item.item_id,
        node_id=message.node_id,
        kind=kind,
        output=message.output,
        error=_error_of(message) if kind is OutcomeKind.FAILED else None,
        retry_count=message.retry_count,
        dead_letter_reason=pb.DeadLetterReason.Name(reason).removeprefix(_REASON_PREFIX) if reason else "",
        worker_id=message.worker_id,
    )


def _error_of(message: pb.Outcome) -> NodeError:
    if not message.HasField("business_error"):
        failure = message.failure
        return NodeError(failure.type, failure.message, traceback=failure.traceback)
    told = message.business_error
    try:
        details = json.loads(told.details) if told.details else None
    except ValueError:
        details = told.details.decode(errors="replace")
    return NodeError(told.code, told.message, business=True, details=details)


def output_of(outcome: ItemOutcome, timeout: timedelta | None) -> Json | Failure:
    """Give the output of a COMPLETED outcome, or the failure that every other one is.

    Args:
        outcome: The outcome.
        timeout: The node's, for the message of one that came too late.

    """
    match outcome.kind:
        case OutcomeKind.COMPLETED:
            return _read_output(outcome.output)
        case OutcomeKind.FAILED:
            assert outcome.error is not None
            return Failure(outcome.error, retryable=False, cost=outcome.retry_count + 1)
        case OutcomeKind.TIMED_OUT:
            return _timed_out(outcome, timeout)
        case OutcomeKind.CANCELLED:
            error = NodeError(CANCELLED, f"work item {outcome.item_id} was cancelled")
            return Failure(error, retryable=False, replaceable=False, cost=outcome.retry_count + 1)


def _read_output(output: bytes) -> Json | Failure:
    """Read JSON; no output at all is null."""
    try:
        return json.loads(output, parse_constant=_refuse_constant) if output else None
    except (ValueError, RecursionError) as error:
        return Failure(NodeError("OutputNotJson", f"the worker's output is not JSON: {error}"), retryable=False)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _timed_out(outcome: ItemOutcome, timeout: timedelta | None) -> Failure:
    reason = outcome.dead_letter_reason
    within = "in time" if timeout is None else f"within {format_duration(timeout)}"
    message = f"no outcome {within} of work item {outcome.item_id}"
    if reason:
        message += f"; it is a dead letter ({reason}), see `bloge dead-letters show {outcome.item_id}`"
    return Failure(NodeError(TIMED_OUT, message), retryable=reason not in _HOPELESS, cost=outcome.retry_count + 1)
