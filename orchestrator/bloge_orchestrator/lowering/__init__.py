"""From declarations to the compiled graph's specification: every rule of the language."""

from bloge_orchestrator.lowering.graphs import lower_graph
from bloge_orchestrator.lowering.nodes import check_operator
from bloge_orchestrator.lowering.problems import PassOverError, Problems

__all__ = ["PassOverError", "Problems", "check_operator", "lower_graph"]
