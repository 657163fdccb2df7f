"""What is recorded and done about what happens."""

from typing import Any

import pytest

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import ExecutionStatus, NodeStatus
from bloge_orchestrator.execution.actions import (
    Acknowledge,
    CancelItem,
    Enqueue,
    Finish,
    StartLocal,
    StopLocal,
    WaitUntil,
)
from bloge_orchestrator.execution.decide import decide, resume
from bloge_orchestrator.execution.events import NodeSkipped, NodeSuspended, OutcomeKind
from bloge_orchestrator.execution.failure import NodeError
from bloge_orchestrator.execution.happenings import Begun, CancelAsked, EnqueueRefused, OutcomeArrived, RetryDue
from bloge_orchestrator.execution.result import result_of
from bloge_orchestrator.execution.state import ExecutionState, fold
from bloge_orchestrator.execution.work_items import ItemOutcome
from support.executions import Simulation, compiled, remote

LOCAL = "node {} : Op {{ timeout = 1s {} }}"
RETRY = "retry = { attempts: 2, backoff: 10ms }"
FALLBACK = "fallback = { spare: true }"
COMPLETED, FAILED, TIMED_OUT, CANCELLED = (
    OutcomeKind(kind) for kind in ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED")
)
ERROR = NodeError("Boom", "no")


def local(node_id: str, settings: str = "") -> str:
    """Write a local node."""
    return LOCAL.format(node_id, settings)


def test_independent_nodes_start_together_and_a_dependent_after_its_last_dependency() -> None:
    """A node waits for all of its dependencies, and for nothing else."""
    execution = Simulation(compiled("\n".join([local("a"), local("b"), local("c", "depends_on = [a, b]")])))
    assert [action.node_id for action in execution.first.actions if isinstance(action, StartLocal)] == ["a", "b"]
    assert execution.returns("a", 1).actions == ()
    assert execution.returns("b", 2).actions == (StartLocal("c", 1, {}),)
    assert execution.returns("c", 3).actions == (Finish(),)
    assert execution.state.status is ExecutionStatus.COMPLETED


def test_outputs_flow_into_inputs_and_transforms_and_out() -> None:
    """A transform needs nobody: it ends in the decision in which its last dependency ends."""
    members = [
        "node a : Op { input { x = ctx.x } timeout = 1s }",
        "transform t { twice = a.output.y * 2 }",
        "node b : Op { input { z = t.output.twice } timeout = 1s }",
    ]
    execution = Simulation(compiled("\n".join(members)), {"x": 1})
    assert execution.first.actions == (StartLocal("a", 1, {"x": 1}),)
    assert execution.returns("a", {"y": 4}).actions == (StartLocal("b", 1, {"z": 8}),)
    execution.returns("b", "end")
    assert result_of(execution.plan, execution.state).outputs == {"t": {"twice": 8}, "b": "end"}


def test_a_remote_node_is_suspended_before_its_item_is_enqueued() -> None:
    """The event carries the id and the bytes that the action enqueues."""
    execution = Simulation(compiled(remote("n", RETRY)))
    (suspended,) = [event for event in execution.events if isinstance(event, NodeSuspended)]
    assert execution.first.actions == (Enqueue("n", "e-1.n.1", suspended.work_item),)
    spec = pb.WorkItemSpec.FromString(suspended.work_item)
    assert (spec.item_id, spec.worker_topic, spec.reply_group) == ("e-1.n.1", "t", "e-1")
    assert spec.retry_policy.attempts == 2


def test_a_completed_item_completes_the_node() -> None:
    """Resumption and completion are recorded together, then the outcome is acknowledged."""
    execution = Simulation(compiled(remote("n")))
    decision = execution.outcome("n", COMPLETED, output=b'{"a": 1}', worker_id="w-1", retry_count=0)
    assert execution.types("n") == ["STARTED", "SUSPENDED", "RESUMED", "COMPLETED"]
    assert decision.actions == (Acknowledge("t", "e-1.n.1"), Finish())
    assert execution.state.node("n").output == {"a": 1}
    assert execution.state.node("n").workers == ("w-1",)


def test_an_outcome_that_comes_again_is_only_acknowledged() -> None:
    """The first outcome of an item is the one that counts, even if a later one differs."""
    execution = Simulation(compiled(remote("n")))
    execution.outcome("n", COMPLETED, output=b"1")
    before = execution.state
    again = execution.outcome("n", COMPLETED, output=b"2")
    assert again.events == ()
    assert again.actions == (Acknowledge("t", "e-1.n.1"),)
    assert again.state == before


@pytest.mark.parametrize(("node_id", "item_id"), [("n", "e-1.n.9"), ("other", "e-1.n.1"), ("", "")])
def test_an_outcome_that_no_node_waits_for_is_only_acknowledged(node_id: str, item_id: str) -> None:
    """It would come again for ever otherwise."""
    execution = Simulation(compiled(remote("n")))
    stray = execution.take(OutcomeArrived("t", ItemOutcome(item_id, node_id, COMPLETED)))
    assert stray.events == ()
    assert stray.actions == (Acknowledge("t", item_id),)


@pytest.mark.parametrize(
    ("settings", "kind", "members", "status"),
    [
        (RETRY, FAILED, {"error": NodeError("CODE", business=True)}, NodeStatus.FAILED),
        (RETRY + FALLBACK, FAILED, {"error": NodeError("CODE", business=True)}, NodeStatus.FELL_BACK),
        (RETRY, FAILED, {"error": ERROR, "dead_letter_reason": "BUDGET_SPENT", "retry_count": 2}, NodeStatus.FAILED),
        (RETRY + FALLBACK, FAILED, {"error": NodeError("DISCARDED")}, NodeStatus.FELL_BACK),
        (RETRY, TIMED_OUT, {}, NodeStatus.RETRY_WAIT),
        (RETRY, TIMED_OUT, {"retry_count": 1}, NodeStatus.RETRY_WAIT),
        (RETRY, TIMED_OUT, {"retry_count": 2}, NodeStatus.FAILED),
        (RETRY, TIMED_OUT, {"dead_letter_reason": "LEASE_LOST"}, NodeStatus.RETRY_WAIT),
        (RETRY, TIMED_OUT, {"dead_letter_reason": "RETRY_PAST_DEADLINE"}, NodeStatus.RETRY_WAIT),
        (RETRY, TIMED_OUT, {"dead_letter_reason": "BUDGET_SPENT"}, NodeStatus.FAILED),
        (RETRY, TIMED_OUT, {"dead_letter_reason": "NON_RETRYABLE"}, NodeStatus.FAILED),
        (RETRY + FALLBACK, TIMED_OUT, {"dead_letter_reason": "NON_RETRYABLE"}, NodeStatus.FELL_BACK),
        ("", TIMED_OUT, {}, NodeStatus.FAILED),
        (FALLBACK, TIMED_OUT, {}, NodeStatus.FELL_BACK),
        (RETRY + FALLBACK, CANCELLED, {}, NodeStatus.FAILED),
        (RETRY + FALLBACK, COMPLETED, {"output": b"{not json"}, NodeStatus.FELL_BACK),
        (RETRY, COMPLETED, {"output": b"NaN"}, NodeStatus.FAILED),
        (RETRY, COMPLETED, {"output": b""}, NodeStatus.COMPLETED),
    ],
)
def test_what_each_outcome_does_to_a_node(
    settings: str, kind: OutcomeKind, members: dict[str, Any], status: NodeStatus
) -> None:
    """Retry, fallback or failure, by kind of outcome and reason of a dead letter."""
    execution = Simulation(compiled(remote("n", settings)))
    execution.outcome("n", kind, **members)
    assert execution.state.node("n").status is status


def test_a_missed_deadline_leads_to_a_new_item_with_what_is_left_of_the_budget() -> None:
    """The item's own retries and the missed deadline are taken off, and the delay is kept."""
    execution = Simulation(compiled(remote("n", "retry = { attempts: 5, backoff: 10ms }")))
    (wait,) = [
        action for action in execution.outcome("n", TIMED_OUT, retry_count=2).actions if isinstance(action, WaitUntil)
    ]
    assert wait == WaitUntil("n", execution.now_ms + 10)
    (enqueue,) = execution.actions(RetryDue("n"))
    assert isinstance(enqueue, Enqueue)
    assert enqueue.item_id == "e-1.n.2"
    assert pb.WorkItemSpec.FromString(enqueue.work_item).retry_policy.attempts == 2
    execution.outcome("n", COMPLETED, number=2, output=b"1", retry_count=1)
    assert execution.state.node("n").attempts == 5
    assert execution.state.node("n").items == ("e-1.n.1", "e-1.n.2")


def test_a_late_outcome_of_an_earlier_item_does_not_resume_the_node() -> None:
    """The node waits for its newest item only."""
    execution = Simulation(compiled(remote("n", RETRY)))
    execution.outcome("n", TIMED_OUT)
    execution.take(RetryDue("n"))
    assert execution.outcome("n", COMPLETED, number=1, output=b"1").events == ()
    assert execution.state.node("n").status is NodeStatus.SUSPENDED


def test_a_local_node_is_tried_again_until_its_budget_is_spent() -> None:
    """Two retries are three attempts; then the node fails with the last error."""
    execution = Simulation(compiled(local("n", RETRY)))
    for attempt in (1, 2):
        assert execution.fails("n", attempt=attempt).actions == (WaitUntil("n", execution.now_ms + 10),)
        assert execution.actions(RetryDue("n")) == (StartLocal("n", attempt + 1, {}),)
    assert execution.fails("n", "KeyError", attempt=3).actions == (Finish(),)
    assert execution.types("n") == ["STARTED", "RETRIED", "STARTED", "RETRIED", "STARTED", "FAILED"]
    error = execution.state.node("n").error
    assert error is not None
    assert error.type == "KeyError"


def test_what_an_earlier_attempt_says_late_changes_nothing() -> None:
    """An operator in a thread can outlive its timeout."""
    execution = Simulation(compiled(local("n", RETRY)))
    execution.fails("n")
    assert execution.returns("n", "late").events == ()
    execution.take(RetryDue("n"))
    assert execution.returns("n", "late").events == ()
    assert execution.returns("n", "in time", attempt=2).actions == (Finish(),)
    assert execution.state.node("n").output == "in time"


def test_a_failure_skips_what_depends_on_it_and_nothing_else() -> None:
    """However far down, the reason names the node that failed; the rest goes on."""
    members = [local("a"), local("b"), local("c", "depends_on = [a, b]"), local("d", "depends_on = [c]"), local("e")]
    execution = Simulation(compiled("\n".join(members)))
    execution.fails("a")
    assert {event.node_id: event.reason for event in execution.events if isinstance(event, NodeSkipped)} == {
        "c": "a failed",
        "d": "a failed",
    }
    execution.returns("b", 1)
    assert execution.returns("e", 2).actions == (Finish(),)
    assert execution.state.status is ExecutionStatus.FAILED
    assert result_of(execution.plan, execution.state).outputs == {"e": 2}


def test_what_depends_on_a_fallback_goes_on() -> None:
    """Downstream cannot tell a fallback from an output; the execution has completed."""
    execution = Simulation(compiled("\n".join([remote("a", FALLBACK), "transform t { spare = a.output.spare }"])))
    execution.outcome("a", TIMED_OUT)
    assert result_of(execution.plan, execution.state).outputs == {"t": {"spare": True}}
    assert execution.state.status is ExecutionStatus.COMPLETED


@pytest.mark.parametrize("member", ["node n : Op {{ input {{ x = {} }} timeout = 1s }}", "transform n {{ x = {} }}"])
def test_an_input_without_a_value_fails_the_node(member: str) -> None:
    """It would be the same at the next attempt, so there is none."""
    execution = Simulation(compiled(member.format("1 / ctx.zero")), {"zero": 0})
    assert execution.first.actions == (Finish(),)
    error = execution.state.node("n").error
    assert error is not None
    assert error.type == "ExpressionError"
    assert "n.x" in error.message


def test_a_refused_item_fails_the_node() -> None:
    """There is no item whose outcome could resume it."""
    execution = Simulation(compiled(remote("n", RETRY)))
    assert execution.actions(EnqueueRefused("n", "e-1.n.1", NodeError("TOO_LARGE"))) == (Finish(),)
    assert execution.state.node("n").status is NodeStatus.FAILED


def test_every_attempt_is_given_the_same_input() -> None:
    """now() is when the node started, uuid() belongs to the node: both are the same in the next attempt."""
    graph = compiled(f"node n : Op {{ input {{ key = uuid() other = uuid() at = now() }} timeout = 1s {RETRY} }}")
    execution = Simulation(graph)
    (first,) = execution.first.actions
    execution.fails("n")
    (second,) = execution.actions(RetryDue("n"))
    assert isinstance(first, StartLocal)
    assert isinstance(second, StartLocal)
    assert first.input == second.input
    assert first.input["key"] != first.input["other"]


def test_secrets_reach_inputs() -> None:
    """They come from the orchestrator, not from the graph."""
    graph = compiled('node n : Op { input { x = secret("KEY") } timeout = 1s }')
    assert Simulation(graph, secrets={"KEY": "s3"}).first.actions == (StartLocal("n", 1, {"x": "s3"}),)


def test_cancelling_withdraws_what_runs_and_starts_nothing_more() -> None:
    """Items are cancelled, attempts given up, and every node has an end."""
    members = [local("a"), remote("b"), local("c", "depends_on = [b]"), local("d"), remote("e", RETRY)]
    execution = Simulation(compiled("\n".join(members)))
    execution.returns("d")
    execution.outcome("e", TIMED_OUT)
    decision = execution.take(CancelAsked("enough"))
    assert decision.actions == (StopLocal("a", 1), CancelItem("t", "e-1.b.1"), Finish())
    assert execution.state.status is ExecutionStatus.CANCELLED
    assert [str(status) for status in execution.statuses().values()] == [
        "FAILED",
        "FAILED",
        "SKIPPED",
        "COMPLETED",
        "FAILED",
    ]
    assert execution.take(CancelAsked("again")).events == ()
    assert decide(execution.plan, ExecutionState(), CancelAsked("too soon"), 1).events == ()
    assert execution.take(RetryDue("e")).events == ()


def test_an_execution_begins_once() -> None:
    """A second beginning, after a recovery for example, changes nothing."""
    execution = Simulation(compiled(local("a")))
    assert execution.take(Begun("e-2", "default", "", {})).events == ()


def test_who_takes_an_execution_over_does_what_is_left() -> None:
    """Attempts run again, delays are waited for, the same bytes are enqueued again; what has ended stays ended."""
    members = [local("a"), local("b", RETRY), local("c"), remote("d"), local("e", "depends_on = [a]")]
    execution = Simulation(compiled("\n".join(members)))
    enqueues = [action for action in execution.first.actions if isinstance(action, Enqueue)]
    (wait,) = execution.fails("b").actions
    execution.returns("c")
    taken_over = resume(execution.plan, fold(execution.events), execution.now_ms + 60_000)
    assert taken_over.events == ()
    assert set(map(repr, taken_over.actions)) == set(map(repr, [StartLocal("a", 1, {}), wait, *enqueues]))


def test_a_journal_that_ends_between_start_and_suspension_is_gone_on_from() -> None:
    """The node is suspended then, as it would have been."""
    execution = Simulation(compiled(remote("n")))
    (cut,) = [index for index, event in enumerate(execution.events) if isinstance(event, NodeSuspended)]
    taken_over = resume(execution.plan, fold(execution.events[:cut]), execution.now_ms)
    assert [event.TYPE for event in taken_over.events] == ["NODE_SUSPENDED"]
    assert [type(action) for action in taken_over.actions] == [Enqueue]


def test_a_journal_that_ends_between_resumption_and_completion_takes_the_outcome_again() -> None:
    """It was not acknowledged yet, so it comes again, and is not lost."""
    execution = Simulation(compiled(remote("n")))
    execution.outcome("n", COMPLETED, output=b"1")
    (cut,) = [index for index, event in enumerate(execution.events) if event.TYPE == "NODE_COMPLETED"]
    execution.state = fold(execution.events[:cut])
    execution.outcome("n", COMPLETED, output=b"1")
    assert execution.state.node("n").output == 1


def test_a_secret_that_is_missing_after_a_takeover_fails_the_node() -> None:
    """The process that takes over may have been given others."""
    graph = compiled('node n : Op { input { x = secret("KEY") } timeout = 1s }')
    execution = Simulation(graph, secrets={"KEY": "s3"})
    elsewhere = resume(Simulation(graph).plan, fold(execution.events), execution.now_ms)
    assert [event.TYPE for event in elsewhere.events] == ["NODE_FAILED", "GRAPH_COMPLETED"]


def test_the_result_tells_what_happened_to_each_node() -> None:
    """Status, attempts, workers, duration, error and items, also as JSON."""
    execution = Simulation(compiled("\n".join([remote("a", RETRY), local("b", "depends_on = [a]"), local("c")])))
    execution.outcome("a", TIMED_OUT, retry_count=2)
    execution.returns("c", {"ok": True})
    result = result_of(execution.plan, execution.state)
    a, b, c = result.nodes["a"], result.nodes["b"], result.nodes["c"]
    assert (a.status, a.attempts, a.item_ids, a.worker_topic) == (NodeStatus.FAILED, 3, ("e-1.a.1",), "t")
    assert str(a.error) == "TimeoutError: no outcome within 1m of work item e-1.a.1"
    assert (b.status, b.reason, b.duration, b.attempts) == (NodeStatus.SKIPPED, "a failed", None, 0)
    assert c.duration is not None
    assert result.duration.total_seconds() == 0.002
    assert result.to_json()["nodes"]["c"]["output"] == {"ok": True}
    assert result.to_json()["status"] == "FAILED"
