"""From declarations to the compiled graph's specification: every rule of the language."""

from bloge_orchestrator.lowering.graphs import lower_graph
from bloge_orchestrator.lowering.problems import Problems, TooManyProblemsError

__all__ = ["Problems", "TooManyProblemsError", "lower_graph"]
