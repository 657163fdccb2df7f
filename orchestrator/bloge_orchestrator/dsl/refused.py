"""Constructs of the language family that this project recognises and refuses by name."""

from bloge_orchestrator.diagnostics import Diagnostic
from bloge_orchestrator.dsl.source import Place, parse_error

_NOT_YET = frozenset({"branch", "foreach", "import", "subgraph"})
_OUTSIDE = frozenset(
    {"agent", "await", "compensate", "loop", "saga", "script", "session", "state_machine", "stream", "tool", "wait"}
)
REFUSED = _NOT_YET | _OUTSIDE


def refusal(construct: str, place: Place | None) -> Diagnostic:
    """Say that a construct is known but cannot be used here."""
    if construct in _NOT_YET:
        return parse_error("not-supported-yet", f"`{construct}` is not supported yet", place)
    return parse_error("outside-project", f"`{construct}` is outside this project; it cannot be used in a graph", place)
