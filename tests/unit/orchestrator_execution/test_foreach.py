"""How a foreach runs its items, and what it gives."""

from typing import Any

import pytest

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import ExecutionStatus, NodeStatus
from bloge_orchestrator.execution.actions import CancelItem, Enqueue, Finish, StartLocal, StopLocal
from bloge_orchestrator.execution.decide import Decision, resume
from bloge_orchestrator.execution.events import NodeExpanded, OutcomeKind
from bloge_orchestrator.execution.happenings import CancelAsked
from bloge_orchestrator.execution.inputs import ITEMS_MAX
from bloge_orchestrator.execution.result import result_of
from bloge_orchestrator.execution.state import fold
from support.executions import Simulation, compiled, remote

LOCAL = "node a : Op { timeout = 1s input { x = item } }"


def foreach(body: str = LOCAL, settings: str = "", head: str = "item in ctx.items") -> str:
    """Write a foreach."""
    return f"foreach loop : {head} {{ {settings}\n{body}\n}}"


def execution_of(members: str, items: Any = (1, 2, 3), **files: str) -> Simulation:
    """Begin an execution over some items."""
    return Simulation(compiled(members, **files), {"items": list(items)})


def started(decision: Decision) -> dict[str, Any]:
    """Return the inputs of the attempts that begin."""
    return {action.node_id: action.input for action in decision.actions if isinstance(action, StartLocal)}


def outputs(execution: Simulation) -> Any:
    """Return the outputs of the graph."""
    return result_of(execution.plan, execution.state).outputs


def test_the_output_is_a_list_in_the_order_of_the_items() -> None:
    """Whatever the order in which they end; each item gives its terminal nodes by id."""
    execution = execution_of(foreach())
    assert started(execution.first) == {f"loop[{index}]/a": {"x": index + 1} for index in range(3)}
    for index in (2, 0, 1):
        execution.returns(f"loop[{index}]/a", f"out {index}")
    assert outputs(execution) == {"loop": [{"a": "out 0"}, {"a": "out 1"}, {"a": "out 2"}]}
    assert execution.state.status is ExecutionStatus.COMPLETED


def test_an_empty_list_is_an_empty_output() -> None:
    """At once, and what follows runs."""
    execution = execution_of(foreach() + "\ntransform t { n = size(loop.output) }", ())
    assert execution.first.actions == (Finish(),)
    assert outputs(execution) == {"t": {"n": 0}}


def test_the_body_sees_its_item_its_index_and_what_is_around() -> None:
    """Nodes that only the body names are waited for all the same."""
    body = "transform t { item = item  index = i  around = load.output.k  input = ctx.k }"
    execution = execution_of(f"node load : Op {{ timeout = 1s }}\n{foreach(body, head='(item, i) in ctx.items')}", [7])
    assert execution.types("loop") == []
    execution.returns("load", {"k": "v"})
    assert outputs(execution) == {"loop": [{"t": {"item": 7, "index": 0, "around": "v", "input": None}}]}


def test_a_field_called_output_is_one_of_the_item() -> None:
    """Only nodes have an output that may be left out."""
    execution = execution_of(foreach("transform t { x = item.output }"), [{"output": 5}])
    assert outputs(execution) == {"loop": [{"t": {"x": 5}}]}


def test_nodes_inside_depend_on_each_other_item_by_item() -> None:
    """An item does not wait for another one."""
    body = f"{LOCAL}\nnode b : Op {{ timeout = 1s input {{ y = a.output + item }} }}"
    execution = execution_of(foreach(body), [10, 20])
    assert started(execution.returns("loop[1]/a", 1)) == {"loop[1]/b": {"y": 21}}


def test_sequential_takes_one_item_after_the_other() -> None:
    """In order, each begun when the one before has ended as a whole."""
    body = f"{LOCAL}\nnode b : Op {{ timeout = 1s depends_on = [a] }}"
    execution = execution_of(foreach(body, head="item in ctx.items sequential"), [1, 2])
    assert list(started(execution.first)) == ["loop[0]/a"]
    assert list(started(execution.returns("loop[0]/a"))) == ["loop[0]/b"]
    assert list(started(execution.returns("loop[0]/b"))) == ["loop[1]/a"]


def test_no_more_items_than_allowed_are_in_work() -> None:
    """The next one begins when one has ended."""
    execution = execution_of(foreach(settings="max_concurrency = 2"), range(5))
    assert list(started(execution.first)) == ["loop[0]/a", "loop[1]/a"]
    assert list(started(execution.returns("loop[1]/a"))) == ["loop[2]/a"]
    assert list(started(execution.returns("loop[0]/a"))) == ["loop[3]/a"]
    assert list(started(execution.fails("loop[2]/a", retryable=False))) == []


def test_a_failed_item_fails_the_foreach_and_the_rest_is_withdrawn() -> None:
    """Running attempts are stopped, work items cancelled, nothing more begins, and the error says which item it was."""
    body = f"{LOCAL}\n{remote('far')}\nnode b : Op {{ timeout = 1s depends_on = [a, far] }}"
    members = foreach(body, "max_concurrency = 2") + "\nnode after : Op { timeout = 1s depends_on = [loop] }"
    execution = execution_of(members)
    execution.fails("loop[0]/a")
    execution.completes("loop[0]/far")
    assert execution.state.node("loop").status is NodeStatus.FAILED
    error = execution.state.node("loop").error
    assert error is not None
    assert (error.type, error.message) == ("ValueError", "loop[0]/a failed: no")
    statuses = {path: str(node.status) for path, node in result_of(execution.plan, execution.state).nodes.items()}
    assert statuses == {
        "loop": "FAILED",
        "loop[0]/a": "FAILED",
        "loop[0]/far": "COMPLETED",
        "loop[0]/b": "SKIPPED",
        "loop[1]/a": "FAILED",
        "loop[1]/far": "FAILED",
        "loop[1]/b": "SKIPPED",
        "after": "SKIPPED",
    }
    assert execution.state.node("after").reason == "loop failed"


def test_withdrawing_stops_what_runs() -> None:
    """Each attempt and each work item once."""
    execution = execution_of(foreach(f"{LOCAL}\n{remote('far')}"), [1, 2])
    execution.business_error("loop[1]/far")
    decision = execution.fails("loop[1]/a")
    assert decision.actions == (StopLocal("loop[0]/a", 1), CancelItem("t", "e-1.loop-0-far.1"), Finish())


def test_what_a_withdrawn_item_says_late_changes_nothing() -> None:
    """The execution goes on without it."""
    members = foreach(f"{LOCAL}\n{remote('far')}") + "\nnode free : Op { timeout = 1s }"
    execution = execution_of(members, [1, 2])
    execution.fails("loop[0]/a")
    execution.completes("loop[0]/far")
    assert execution.returns("loop[1]/a").events == ()
    assert execution.completes("loop[1]/far").events == ()
    assert execution.returns("free").actions == (Finish(),)


def test_with_continue_a_failed_item_is_null_and_the_others_go_on() -> None:
    """The foreach has completed, and so has the execution."""
    execution = execution_of(foreach(settings="on_item_failure = continue max_concurrency = 1"))
    execution.fails("loop[0]/a")
    execution.returns("loop[1]/a", "one")
    execution.fails("loop[2]/a")
    assert outputs(execution) == {"loop": [None, {"a": "one"}, None]}
    assert execution.state.status is ExecutionStatus.COMPLETED
    assert result_of(execution.plan, execution.state).nodes["loop[0]/a"].status is NodeStatus.FAILED


def test_an_item_ends_when_all_that_can_run_in_it_has_run() -> None:
    """A failure inside does not stop its neighbours in the same item."""
    body = "node a : Op { timeout = 1s } node b : Op { timeout = 1s } node c : Op { timeout = 1s depends_on = [a] }"
    execution = execution_of(foreach(body), [1])
    execution.fails("loop[0]/a")
    assert execution.state.node("loop").status is NodeStatus.RUNNING
    execution.returns("loop[0]/b")
    assert execution.state.node("loop").status is NodeStatus.FAILED


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("ctx.missing", "a foreach goes over a list, got null"),
        ('"text"', "a foreach goes over a list, got a string"),
        ("ctx.items[9]", "index 9 is out of range"),
        (
            f"concat(range(0, 60000), range(0, {ITEMS_MAX - 59_999}))",
            f"goes over at most {ITEMS_MAX} items, got {ITEMS_MAX + 1}",
        ),
    ],
)
def test_what_is_no_list_fails_the_foreach(items: str, message: str) -> None:
    """Another attempt would end the same way."""
    execution = execution_of(foreach(head=f"item in {items}"))
    error = execution.state.node("loop").error
    assert error is not None
    assert error.type == "ExpressionError"
    assert message in error.message


def test_remote_nodes_inside_have_items_of_their_own() -> None:
    """The item's id and the envelope name the path; the server sends it back with the outcome."""
    execution = execution_of(foreach(remote("far", "input { x = item }")), [5])
    (enqueue,) = execution.first.actions
    assert isinstance(enqueue, Enqueue)
    spec = pb.WorkItemSpec.FromString(enqueue.work_item)
    assert (spec.item_id, spec.node_id) == ("e-1.loop-0-far.1", "loop[0]/far")
    assert b'"nodeId":"loop[0]/far"' in spec.payload
    execution.completes("loop[0]/far", {"y": 1})
    assert outputs(execution) == {"loop": [{"far": {"y": 1}}]}


def test_a_foreach_in_a_foreach() -> None:
    """Each level has its own item; the inner one sees both."""
    inner = 'foreach inner : (word, j) in item.words { transform t { v = "${item.id}${word}${i}${j}" } }'
    execution = execution_of(
        foreach(inner, head="(item, i) in ctx.items"), [{"id": 1, "words": ["a", "b"]}, {"id": 2, "words": []}]
    )
    assert outputs(execution) == {"loop": [{"inner": [{"t": {"v": "1a00"}}, {"t": {"v": "1b01"}}]}, {"inner": []}]}


def test_a_branch_in_a_foreach_decides_for_each_item() -> None:
    """A terminal node that was not chosen is left out of the item."""
    body = "branch on item { 1 -> odd  otherwise -> even }\ntransform odd { n = item }\ntransform even { n = item }"
    assert outputs(execution_of(foreach(body), [1, 2])) == {"loop": [{"odd": {"n": 1}}, {"even": {"n": 2}}]}


def test_every_item_has_its_own_uuids() -> None:
    """And each attempt of it the same ones."""
    execution = execution_of(foreach("node a : Op { timeout = 1s input { id = uuid() } }"), [1, 2])
    assert len({start["id"] for start in started(execution.first).values()}) == 2


def test_cancelling_ends_every_item_that_has_begun() -> None:
    """Those that have not begun leave no trace."""
    execution = execution_of(foreach(f"{LOCAL}\n{remote('far')}", "max_concurrency = 1"))
    decision = execution.take(CancelAsked("enough"))
    assert decision.actions == (StopLocal("loop[0]/a", 1), CancelItem("t", "e-1.loop-0-far.1"), Finish())
    assert execution.state.status is ExecutionStatus.CANCELLED
    assert [path for path in execution.state.nodes if path.startswith("loop[1]")] == []


def test_the_journal_holds_no_list_twice() -> None:
    """How many items there are is recorded; what they are, and the output, follow from what is recorded already."""
    execution = execution_of(foreach())
    for index in range(3):
        execution.returns(f"loop[{index}]/a", "out")
    (expanded,) = [event for event in execution.events if isinstance(event, NodeExpanded)]
    assert (expanded.count, expanded.size, expanded.terminals) == (3, 1, ("a",))
    last = execution.events[-2].to_json()
    assert (last["nodeId"], last["data"]) == ("loop", {"output": None, "gathered": True})


def test_a_foreach_that_is_taken_over_goes_on_with_its_next_items() -> None:
    """The list is evaluated again, by the process that has the execution now."""
    execution = execution_of(foreach(settings="max_concurrency = 1"))
    execution.returns("loop[0]/a", "zero")
    execution.state = fold(execution.events)
    taken_over = resume(execution.plan, execution.state, execution.now_ms)
    assert (taken_over.events, taken_over.actions) == ((), (StartLocal("loop[1]/a", 1, {"x": 2}),))
    assert started(execution.returns("loop[1]/a", "one")) == {"loop[2]/a": {"x": 3}}
    execution.returns("loop[2]/a", "two")
    assert outputs(execution) == {"loop": [{"a": "zero"}, {"a": "one"}, {"a": "two"}]}


def test_a_list_that_is_another_one_after_a_takeover_fails_what_reads_it() -> None:
    """It hangs on a secret that this process has not; no item may get another one's value."""
    graph = compiled(foreach(head='item in split(secret("LIST"), ",")', settings="max_concurrency = 1"))
    execution = Simulation(graph, secrets={"LIST": "a,b"})
    elsewhere = Simulation(graph, secrets={"LIST": "a,b,c"})
    decision = resume(elsewhere.plan, fold(execution.events), execution.now_ms)
    assert [event.TYPE for event in decision.events] == ["NODE_FAILED", "NODE_FAILED", "GRAPH_COMPLETED"]
    error = decision.state.node("loop[0]/a").error
    assert error is not None
    assert "loop: the list has 3 items now, and had 2 when it began" in error.message


def test_an_item_whose_outcome_is_a_cancellation_is_not_replaced() -> None:
    """Somebody wanted it not to run; neither the foreach nor what is around it tries again."""
    execution = execution_of(foreach(remote("far")), [1])
    execution.outcome("loop[0]/far", OutcomeKind.CANCELLED)
    error = execution.state.node("loop").error
    assert error is not None
    assert error.type == "Cancelled"
