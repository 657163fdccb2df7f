"""Constructs of the language family that this project recognises and refuses by name."""

from bloge_orchestrator.diagnostics import Diagnostic
from bloge_orchestrator.dsl.source import Place, parse_error

REFUSED = frozenset(
    {"agent", "await", "compensate", "loop", "saga", "script", "session", "state_machine", "stream", "tool", "wait"}
)


def refusal(construct: str, place: Place | None) -> Diagnostic:
    """Say that a construct is known but cannot be used here."""
    return parse_error("outside-project", f"`{construct}` is outside this project; it cannot be used in a graph", place)
