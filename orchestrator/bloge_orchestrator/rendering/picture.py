"""What there is to see of a graph: boxes, boxes inside boxes, and the arrows between them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bloge_orchestrator.durations import format_duration
from bloge_orchestrator.expressions import Expression, Literal
from bloge_orchestrator.expressions.formatter import format_expression
from bloge_orchestrator.graph import (
    BranchSpec,
    ForeachSpec,
    GraphSpec,
    NodeKind,
    NodeSpec,
    OnItemFailure,
    SubgraphScope,
    SubgraphSpec,
)

TEXT_MAX = 60
"""A longer line of text is cut: a picture shows what a graph does, its text says how."""


@dataclass(frozen=True, slots=True)
class Box:
    """One node. `inside` is what a foreach repeats, or what a sub-graph holds."""

    name: str
    kind: NodeKind
    lines: tuple[str, ...]
    """What stands below its name."""
    inside: "Picture | None" = None


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a node to one that comes after it; `label` says when, behind a branch."""

    start: str
    end: str
    label: str = ""
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """What stands beside each other. Boxes have different names, and the arrows go round in no circle."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def picture_of(graph: GraphSpec) -> Picture:
    """Give what there is to see of a graph."""
    return _picture(graph.nodes)


def _picture(nodes: tuple[NodeSpec, ...]) -> Picture:
    return Picture(tuple(map(_box, nodes)), tuple(arrow for node in nodes for arrow in _arrows(node)))


def _box(node: NodeSpec) -> Box:
    inside = _picture(node.inside) if node.inside else None
    name = "branch" if node.kind is NodeKind.BRANCH else node.id
    return Box(node.id, node.kind, tuple(shortened(line) for line in (name, *_lines(node))), inside)


def _arrows(node: NodeSpec) -> Iterator[Arrow]:
    yield from (Arrow(dependency, node.id) for dependency in node.depends_on)
    if isinstance(node.construct, BranchSpec):
        for target in node.construct.targets:
            yield Arrow(node.id, target, shortened(_when(node.construct, target)), conditional=True)


def _when(branch: BranchSpec, target: str) -> str:
    """Say for which values a branch chooses a target."""
    values = [_value(arm.value) for arm in branch.arms if target in arm.targets]
    return ", ".join([*values, *(["otherwise"] if target in branch.otherwise else [])])


def _value(value: Expression) -> str:
    if isinstance(value, Literal) and isinstance(value.value, str):
        return value.value
    return format_expression(value)


def _lines(node: NodeSpec) -> Iterator[str]:
    match node.construct:
        case BranchSpec(subject=subject, inclusive=inclusive):
            yield format_expression(subject)
            if inclusive:
                yield "every arm that fits"
        case ForeachSpec() as foreach:
            names = foreach.item_name if foreach.index_name is None else f"{foreach.item_name}, {foreach.index_name}"
            yield f"for each {names} in {format_expression(foreach.items)}"
            yield from _how(foreach)
        case SubgraphSpec(graph=graph, scope=scope):
            yield f"graph {graph.name}" + (", sees what is around" if scope is SubgraphScope.PARENT else "")
        case None:
            yield from _work(node)
    yield from _resilience(node)


def _how(foreach: ForeachSpec) -> Iterator[str]:
    if foreach.max_concurrency is not None:
        yield "one at a time" if foreach.max_concurrency == 1 else f"{foreach.max_concurrency} at a time"
    if foreach.on_item_failure is OnItemFailure.CONTINUE:
        yield "goes on after a failure"


def _work(node: NodeSpec) -> Iterator[str]:
    if node.kind is not NodeKind.TRANSFORM:
        yield node.operator_ref
    if node.worker_topic is not None:
        yield f"worker topic {node.worker_topic}"


def _resilience(node: NodeSpec) -> Iterator[str]:
    said = []
    if node.timeout is not None:
        said.append(f"timeout {format_duration(node.timeout)}")
    if node.retry.attempts:
        said.append(f"{node.retry.attempts} {'retry' if node.retry.attempts == 1 else 'retries'}")
    if node.fallback is not None:
        said.append("fallback")
    if said:
        yield ", ".join(said)


def shortened(text: str) -> str:
    """Cut a text that is too long, and put a mark for what no picture can show."""
    text = _NOT_SHOWN.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"


_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
