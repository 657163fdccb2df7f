"""Compares what a sub-graph is given with what it declares as its input."""

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.tree import Block, NodeDeclaration
from bloge_orchestrator.graph import GraphSpec, NodeSpec
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.suggestions import did_you_mean


def check_ports(node: NodeSpec, graph: GraphSpec, declaration: NodeDeclaration, problems: Problems) -> None:
    """Warn of fields that a graph declares and is not given, and of those it is given and does not declare."""
    declared = graph.input.fields if graph.input is not None else None
    if declared is None:
        return
    places = {
        setting.name: setting.place
        for entry in declaration.entries
        if isinstance(entry, Block) and entry.name == "input"
        for setting in entry.settings
    }
    for name, field in declared.items():
        if name not in node.input and not field.optional:
            message = f"graph {graph.name} wants `{name}`, which node {node.id} does not give"
            problems.warning(Stage.LINT, "missing-input", message, declaration.place, node.id, f"input.{name}")
    for name in node.input:
        if name not in declared:
            message = f"graph {graph.name} declares no input `{name}`{did_you_mean(name, declared)}"
            problems.warning(Stage.LINT, "unknown-input", message, places.get(name), node.id, f"input.{name}")
