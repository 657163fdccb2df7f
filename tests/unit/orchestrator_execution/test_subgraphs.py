"""How a sub-graph runs inside a graph."""

from typing import Any

from bloge_orchestrator import ExecutionStatus, NodeStatus
from bloge_orchestrator.execution.actions import (
    CancelItem,
    Enqueue,
    Finish,
    StartLocal,
    StopLocal,
    WaitUntil,
    WatchDeadline,
)
from bloge_orchestrator.execution.decide import resume
from bloge_orchestrator.execution.events import OutcomeKind
from bloge_orchestrator.execution.happenings import DeadlinePassed, RetryDue
from bloge_orchestrator.execution.result import result_of
from bloge_orchestrator.execution.state import fold
from support.executions import Simulation, compiled, remote

LIB = "graph lib {{ {} }}"
NODE = "node a : Op { timeout = 1s input { x = ctx.x } }"


def sub(settings: str = "", body: str = NODE, more: str = "") -> Simulation:
    """Begin an execution of a graph with the sub-graph `s`, whose graph has this body."""
    return Simulation(compiled(f'node s : subgraph("lib") {{ {settings} }}\n{more}', lib=LIB.format(body)), {"x": 9})


def outputs(execution: Simulation) -> Any:
    """Return the outputs of the graph."""
    return result_of(execution.plan, execution.state).outputs


def test_the_input_is_the_ctx_inside_and_the_terminal_nodes_are_the_output() -> None:
    """Nothing else goes in, nothing else comes out."""
    body = "transform first { y = ctx.x }  transform last { z = first.y + 1 }  transform other { all = ctx }"
    execution = sub("input { x = ctx.x * 2 }", body, "transform t { z = s.output.last.z  first = s.output.first }")
    assert outputs(execution) == {"t": {"z": 19, "first": None}}
    assert execution.state.node("s").output == {"last": {"z": 19}, "other": {"all": {"x": 18}}}


def test_a_subgraph_waits_for_what_its_input_names() -> None:
    """As any node does."""
    execution = sub("input { x = load.output }", more="node load : Op { timeout = 1s }")
    assert execution.returns("load", 3).actions == (StartLocal("s/a", 1, {"x": 3}),)


def test_with_parent_scope_the_inside_sees_what_is_around() -> None:
    """Nodes and ctx, with the sub-graph's own input laid over; they are waited for."""
    body = "transform t { load = load.output  x = ctx.x  own = ctx.own }"
    execution = sub("scope = parent input { own = 1 }", body, "node load : Op { timeout = 1s }")
    assert execution.types("s") == []
    execution.returns("load", 3)
    assert outputs(execution) == {"s": {"t": {"load": 3, "x": 9, "own": 1}}}


def test_with_parent_scope_the_inside_of_a_foreach_sees_its_item() -> None:
    """However many levels there are between."""
    members = 'foreach l : (item, i) in [5, 6] { node s : subgraph("lib") { scope = parent } }'
    body = "foreach deep : x in [item] { transform t { sum = item * 10 + x + i } }"
    execution = Simulation(compiled(members, lib=LIB.format(body)))
    assert outputs(execution) == {"l": [{"s": {"deep": [{"t": {"sum": 55}}]}}, {"s": {"deep": [{"t": {"sum": 67}}]}}]}


def test_the_ids_inside_come_before_those_around() -> None:
    """A sub-graph keeps its meaning wherever it is used."""
    body = 'transform load { v = "inside" }  transform t { v = load.v }'
    execution = sub("scope = parent", body, 'transform load { v = "around" }')
    assert execution.state.node("s").output == {"t": {"v": "inside"}}


def test_a_remote_node_inside_a_subgraph() -> None:
    """It is suspended, resumed and seen under its path."""
    execution = sub("input { x = 1 }", remote("far", "input { x = ctx.x }"))
    (enqueue,) = execution.first.actions
    assert isinstance(enqueue, Enqueue)
    assert (enqueue.node_id, enqueue.item_id) == ("s/far", "e-1.s-far.1")
    assert execution.plan.worker_topics == ("t",)
    execution.completes("s/far", {"ok": True})
    assert outputs(execution) == {"s": {"far": {"ok": True}}}
    assert result_of(execution.plan, execution.state).nodes["s/far"].item_ids == ("e-1.s-far.1",)


def test_a_graph_in_a_graph_in_a_graph() -> None:
    """Imports are looked up beside the file that names them, once for all its uses."""
    members = 'node a : subgraph("mid") { input { x = 1 } }  node b : subgraph("mid") { input { x = 2 } }'
    mid = 'import "./leaf" as leaf graph mid { node inner : leaf { input { x = ctx.x * 10 } } }'
    execution = Simulation(compiled(members, mid=mid, leaf="graph leaf { transform t { y = ctx.x + 1 } }"))
    assert outputs(execution) == {"a": {"inner": {"t": {"y": 11}}}, "b": {"inner": {"t": {"y": 21}}}}


# ---- failure, retry, timeout, fallback ----


def test_a_failure_inside_fails_the_subgraph_once_the_rest_inside_has_ended() -> None:
    """With the inner error's type; what depends on it is skipped."""
    body = f"{NODE} node b : Op {{ timeout = 1s }} node c : Op {{ timeout = 1s depends_on = [a] }}"
    execution = sub(body=body, more="transform t { x = s.output }")
    execution.fails("s/a", "KeyError")
    assert execution.state.node("s").status is NodeStatus.RUNNING
    execution.returns("s/b")
    error = execution.state.node("s").error
    assert error is not None
    assert (str(error), execution.state.node("s").status) == ("KeyError: s/a failed: no", NodeStatus.FAILED)
    assert execution.state.node("t").reason == "s failed"
    assert execution.state.status is ExecutionStatus.FAILED


def test_a_retry_runs_the_inside_anew() -> None:
    """Under another path, so that nothing of the first attempt is taken for the second's."""
    execution = sub("retry = { attempts: 1, backoff: 10ms }", remote("far"))
    (wait,) = [
        each for each in execution.outcome("s/far", OutcomeKind.TIMED_OUT).actions if isinstance(each, WaitUntil)
    ]
    assert wait == WaitUntil("s", execution.now_ms + 10)
    (enqueue,) = execution.actions(RetryDue("s"))
    assert isinstance(enqueue, Enqueue)
    assert (enqueue.node_id, enqueue.item_id) == ("s#2/far", "e-1.s--2-far.1")
    assert execution.completes("s/far", "late").events == ()
    execution.completes("s#2/far", "in time")
    assert outputs(execution) == {"s": {"far": "in time"}}
    nodes = result_of(execution.plan, execution.state).nodes
    assert [(path, str(node.status)) for path, node in nodes.items()] == [
        ("s", "COMPLETED"),
        ("s/far", "FAILED"),
        ("s#2/far", "COMPLETED"),
    ]
    assert nodes["s"].attempts == 2


def test_the_inside_spends_its_own_budget_first() -> None:
    """Then the sub-graph spends one of its own, and the inside has a new one; then comes the fallback."""
    execution = sub(
        "retry = { attempts: 1 } fallback = { spare: true }", "node a : Op { timeout = 1s retry = { attempts: 1 } }"
    )
    for path in ("s/a", "s#2/a"):
        execution.fails(path)
        execution.take(RetryDue(path))
        execution.fails(path, attempt=2)
        execution.take(RetryDue("s"))
    assert execution.state.node("s").status is NodeStatus.FELL_BACK
    assert execution.state.node("s").output == {"spare": True}
    assert execution.state.status is ExecutionStatus.COMPLETED


def test_a_business_error_inside_goes_straight_to_the_fallback() -> None:
    """It would be the same in the next attempt; code and details are kept."""
    execution = sub("retry = { attempts: 3 } fallback = null", remote("far"))
    execution.business_error("s/far", "CARD_DECLINED")
    assert execution.state.node("s").status is NodeStatus.FELL_BACK
    error = execution.state.node("s").error
    assert error is not None
    assert (error.type, error.business) == ("CARD_DECLINED", True)


def test_a_type_that_is_not_retryable_is_not_retried_outside_either() -> None:
    """The sub-graph's own policy decides, by the inner error's type."""
    execution = sub('retry = { attempts: 3, non_retryable: ["KeyError"] }')
    execution.fails("s/a", "KeyError")
    assert execution.state.node("s").status is NodeStatus.FAILED


def test_a_cancelled_item_inside_cancels_the_subgraph() -> None:
    """Without retry and without fallback."""
    execution = sub("retry = { attempts: 3 } fallback = null", remote("far"))
    execution.outcome("s/far", OutcomeKind.CANCELLED)
    assert execution.state.node("s").status is NodeStatus.FAILED


def test_a_timeout_gives_up_what_is_inside() -> None:
    """Attempts are stopped, items cancelled, and the retry begins anew with its own timeout."""
    execution = sub("timeout = 10s retry = { attempts: 1, backoff: 5ms }", f"{NODE}\n{remote('far')}")
    begun_ms = execution.now_ms
    assert WatchDeadline("s", 1, begun_ms + 10_000) in execution.first.actions
    decision = execution.take(DeadlinePassed("s", 1))
    assert decision.actions == (
        StopLocal("s/a", 1),
        CancelItem("t", "e-1.s-far.1"),
        WaitUntil("s", execution.now_ms + 5),
    )
    error = execution.state.node("s").error
    assert str(error) == "TimeoutError: attempt 1 took longer than 10s"
    again = execution.actions(RetryDue("s"))
    assert WatchDeadline("s", 2, execution.now_ms + 10_000) in again
    execution.returns("s#2/a", 1)
    execution.completes("s#2/far", 2)
    assert outputs(execution) == {"s": {"a": 1, "far": 2}}


def test_a_deadline_that_comes_too_late_changes_nothing() -> None:
    """The sub-graph has ended, or is in its next attempt."""
    execution = sub("timeout = 10s retry = { attempts: 1 }", more="node free : Op { timeout = 1s }")
    execution.fails("s/a")
    execution.take(RetryDue("s"))
    assert execution.take(DeadlinePassed("s", 1)).events == ()
    execution.returns("s#2/a")
    assert execution.take(DeadlinePassed("s", 2)).events == ()


def test_a_fallback_stands_for_the_whole_output() -> None:
    """Downstream reads it as it would read the terminal nodes."""
    execution = sub("fallback = { a: { y: 1 } }", more="transform t { y = s.output.a.y }")
    execution.fails("s/a")
    assert outputs(execution) == {"t": {"y": 1}}


def test_a_subgraph_whose_input_has_no_value_fails() -> None:
    """Nothing inside begins."""
    execution = sub("input { x = 1 / ctx.zero }")
    error = execution.state.node("s").error
    assert error is not None
    assert (error.type, execution.first.actions) == ("ExpressionError", (Finish(),))


def test_who_takes_over_watches_the_deadline_that_was() -> None:
    """It counts from the attempt's beginning, not from the takeover."""
    execution = sub("timeout = 10s")
    begun_ms = execution.now_ms
    taken_over = resume(execution.plan, fold(execution.events), begun_ms + 60_000)
    assert set(map(repr, taken_over.actions)) == {
        repr(WatchDeadline("s", 1, begun_ms + 10_000)),
        repr(StartLocal("s/a", 1, {"x": None})),
    }


def test_items_of_a_withdrawn_node_are_cancelled_again_after_a_takeover() -> None:
    """The process that recorded the withdrawal may have died before it could act."""
    execution = sub("timeout = 10s fallback = 1", remote("far"), "node free : Op { timeout = 1s }")
    execution.take(DeadlinePassed("s", 1))
    taken_over = resume(execution.plan, fold(execution.events), execution.now_ms)
    assert (taken_over.events, taken_over.actions) == (
        (),
        (CancelItem("t", "e-1.s-far.1"), StartLocal("free", 1, {})),
    )
