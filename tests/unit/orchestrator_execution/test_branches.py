"""What a branch does to its targets, and to what comes after them."""

import pytest

from bloge_orchestrator import ExecutionStatus, NodeStatus
from bloge_orchestrator.execution.actions import StartLocal
from bloge_orchestrator.execution.decide import Decision
from bloge_orchestrator.execution.events import NodeSkipped, SkipCause
from bloge_orchestrator.execution.result import result_of
from support.executions import Simulation, compiled


def local(*names: str) -> str:
    """Write local nodes."""
    return "\n".join(f"node {name} : Op {{ timeout = 1s }}" for name in names)


def after(name: str, *dependencies: str) -> str:
    """Write a local node that depends on others."""
    return f"node {name} : Op {{ timeout = 1s depends_on = [{', '.join(dependencies)}] }}"


def started(decision: Decision) -> list[str]:
    """Return the nodes that are started."""
    return [action.node_id for action in decision.actions if isinstance(action, StartLocal)]


def skipped(execution: Simulation) -> dict[str, tuple[str, SkipCause]]:
    """Return the nodes that were skipped, and why."""
    return {event.node_id: (event.reason, event.cause) for event in execution.events if isinstance(event, NodeSkipped)}


@pytest.mark.parametrize(
    ("branch", "value", "chosen"),
    [
        ("{ 1 -> a  2 -> b  otherwise -> c }", 1, ["a"]),
        ("{ 1 -> a  2 -> b  otherwise -> c }", 2, ["b"]),
        ("{ 1 -> a  2 -> b  otherwise -> c }", "1", ["c"]),
        ("{ 1 -> a  2 -> [b, c] }", 3, []),
        ("{ 1 -> a  1 -> b  otherwise -> c }", 1, ["a"]),
        ("{ 1 -> [a, b]  otherwise -> [b, c] }", 1, ["a", "b"]),
        ("{ 1 -> [a, b]  otherwise -> [b, c] }", 2, ["b", "c"]),
        ("{ ctx.one -> a  otherwise -> [b, c] }", 1, ["a"]),
        ("{ null -> a  otherwise -> [b, c] }", None, ["a"]),
        ("{ [1, { k: 2 }] -> a  otherwise -> [b, c] }", [1, {"k": 2.0}], ["a"]),
    ],
)
def test_an_exclusive_branch_takes_the_first_arm_that_fits(branch: str, value: object, chosen: list[str]) -> None:
    """By JSON equality; without one, none of the targets runs."""
    members = f"branch on ctx.value {branch}\n{local('a', 'b', 'c')}"
    assert started(Simulation(compiled(members), {"value": value, "one": 1}).first) == chosen


def test_a_node_that_no_arm_leads_to_runs_in_any_case() -> None:
    """A branch decides on its targets only."""
    members = f"branch on 1 {{ 1 -> a  otherwise -> b }}\n{local('a', 'b', 'c')}"
    assert started(Simulation(compiled(members)).first) == ["c", "a"]


def test_an_inclusive_branch_takes_every_arm_that_fits() -> None:
    """Conditions are written as arms of `true`; otherwise counts if none fits."""
    branch = "branch mode=inclusive on true { ctx.x > 1 -> a  ctx.x > 2 -> [a, b]  ctx.x > 9 -> c  otherwise -> d }"
    members = f"{branch}\n{local('a', 'b', 'c', 'd')}"
    assert started(Simulation(compiled(members), {"x": 3}).first) == ["a", "b"]
    assert started(Simulation(compiled(members), {"x": 0}).first) == ["d"]


def test_what_was_not_chosen_is_skipped_with_what_follows_only_from_it() -> None:
    """A join that also follows from something else runs; the skipped one is null there."""
    members = [
        "branch on ctx.x { 1 -> a  2 -> b }",
        local("a", "b"),
        after("onlyB", "b"),
        after("afterB", "onlyB"),
        "transform join { value = a.output?.v ?? b.output?.v  none = b.output }",
    ]
    execution = Simulation(compiled("\n".join(members)), {"x": 1})
    execution.returns("a", {"v": 7})
    assert skipped(execution) == {
        "b": ("not chosen by branch-1", SkipCause.NOT_CHOSEN),
        "onlyB": ("b skipped", SkipCause.NOT_CHOSEN),
        "afterB": ("onlyB skipped", SkipCause.NOT_CHOSEN),
    }
    assert execution.state.status is ExecutionStatus.COMPLETED
    assert result_of(execution.plan, execution.state).outputs == {"join": {"value": 7, "none": None}}
    assert execution.state.node("branch-1").output == ["a"]


def test_a_target_needs_its_other_dependencies_too() -> None:
    """And is skipped without waiting for them if it is not chosen."""
    members = "\n".join(["branch on ctx.x { 1 -> a  2 -> b }", local("slow"), after("a", "slow"), after("b", "slow")])
    execution = Simulation(compiled(members), {"x": 1})
    assert started(execution.first) == ["slow"]
    assert execution.state.node("b").status is NodeStatus.SKIPPED
    assert started(execution.returns("slow")) == ["a"]


def test_a_target_may_list_what_the_branch_reads() -> None:
    """Published graphs do; it changes nothing."""
    members = "\n".join(
        [local("read"), "branch on read.output { 1 -> a 2 -> b }", after("a", "read"), after("b", "read")]
    )
    execution = Simulation(compiled(members))
    assert started(execution.returns("read", 1)) == ["a"]
    execution.returns("a")
    assert execution.statuses()["b"] is NodeStatus.SKIPPED
    assert execution.state.status is ExecutionStatus.COMPLETED


@pytest.mark.parametrize(("first", "second", "runs"), [(1, 1, True), (1, 2, True), (2, 1, True), (2, 2, False)])
def test_a_target_of_two_branches_runs_if_one_chooses_it(first: int, second: int, *, runs: bool) -> None:
    """Once, after both have decided."""
    members = [
        "branch on ctx.first { 1 -> a  otherwise -> b }",
        local("read"),
        "branch on read.output { 1 -> a  otherwise -> c }",
        local("a", "b", "c"),
    ]
    execution = Simulation(compiled("\n".join(members)), {"first": first})
    assert "a" not in started(execution.first)
    assert ("a" in started(execution.returns("read", second))) == runs
    if not runs:
        assert skipped(execution)["a"][0] == "not chosen by branch-1 or branch-2"


def test_a_branch_that_cannot_decide_fails_and_loses_its_targets() -> None:
    """What the author did not foresee must not look like a choice."""
    members = f"branch on ctx.x.y {{ 1 -> a  otherwise -> b }}\n{local('a', 'b')}\n{after('c', 'a')}"
    execution = Simulation(compiled(members))
    assert execution.state.status is ExecutionStatus.FAILED
    error = execution.state.node("branch-1").error
    assert error is not None
    assert "branch-1.on: cannot read `y` of null" in error.message
    assert {cause for _, cause in skipped(execution).values()} == {SkipCause.UPSTREAM_FAILED}


def test_a_branch_after_a_failure_is_skipped_and_its_targets_too() -> None:
    """They are not unchosen, they are lost: what joins them is lost as well."""
    members = [local("read"), "branch on read.output { 1 -> a  otherwise -> b }", local("a", "b"), after("j", "a", "b")]
    execution = Simulation(compiled("\n".join(members)))
    execution.fails("read")
    assert skipped(execution) == dict.fromkeys(("branch-1", "a", "b", "j"), ("read failed", SkipCause.UPSTREAM_FAILED))


def test_a_branch_behind_a_node_that_was_not_chosen_is_skipped() -> None:
    """And so is all that only it could have chosen."""
    members = [
        "branch on 1 { 1 -> a  2 -> b }",
        local("a", "b"),
        "branch on b.output.kind { true -> c  otherwise -> d }",
        local("c", "d"),
    ]
    execution = Simulation(compiled("\n".join(members)))
    execution.returns("a")
    assert {name: cause for name, (_, cause) in skipped(execution).items()} == dict.fromkeys(
        ("b", "branch-2", "c", "d"), SkipCause.NOT_CHOSEN
    )
    assert execution.state.status is ExecutionStatus.COMPLETED


def test_a_failure_beats_a_skipped_sibling() -> None:
    """A join whose chosen side failed is lost, though its other side was only skipped."""
    members = [local("a", "b"), "branch on 1 { 1 -> a 2 -> b }", after("j", "a", "b")]
    execution = Simulation(compiled("\n".join(members)))
    execution.fails("a")
    assert skipped(execution)["j"] == ("a failed", SkipCause.UPSTREAM_FAILED)


def test_a_fallback_of_a_target_is_as_good_as_its_output() -> None:
    """The branch with a fallback of the examples."""
    members = [
        "branch on ctx.big { true -> slow  otherwise -> quick }",
        'node slow : Op { timeout = 1s fallback = { label: "unknown" } }',
        local("quick"),
        "transform report { label = slow.output?.label ?? quick.output?.label }",
    ]
    execution = Simulation(compiled("\n".join(members)), {"big": True})
    execution.fails("slow")
    assert result_of(execution.plan, execution.state).outputs == {"report": {"label": "unknown"}}
