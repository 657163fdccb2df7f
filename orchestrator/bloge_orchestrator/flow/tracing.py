"""The graph that is being described: what functions of a graph add their nodes to."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from bloge_orchestrator.builder import Body
from bloge_orchestrator.operators import Implementation


@dataclass
class Trace:
    """The nodes of one scope, and the operators that its local nodes bring along, which a whole graph shares."""

    body: Body
    operators: dict[str, Implementation] = field(default_factory=dict)

    def bring(self, operator: str, implementation: Implementation) -> None:
        """Remember what implements an operator.

        Raises:
            TypeError: If something else does already.

        """
        if self.operators.setdefault(operator, implementation) is not implementation:
            raise TypeError(f"operator {operator} is two functions; give one of them another name")


_current: ContextVar[Trace | None] = ContextVar("bloge_flow_trace", default=None)


def tracing() -> Trace | None:
    """Give what nodes are added to, or None outside of every graph."""
    return _current.get()


def current() -> Trace:
    """Give what nodes are added to.

    Raises:
        RuntimeError: Outside of every graph.

    """
    trace = _current.get()
    if trace is None:
        raise RuntimeError("this belongs into a function that is decorated with flow.graph")
    return trace


@contextmanager
def into(trace: Trace) -> Iterator[None]:
    """Add nodes there, while the block runs."""
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)
