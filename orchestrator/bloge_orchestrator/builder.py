"""The same graph in Python: what the builder makes equals what its text would compile to, under the same rules."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self, TypedDict, Unpack

from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.compiler import check_declaration, compile_spec
from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.dsl.tree import (
    Block,
    Entry,
    GraphDeclaration,
    MemberDeclaration,
    NodeDeclaration,
    OperatorReference,
    Projection,
    Setting,
    TransformDeclaration,
)
from bloge_orchestrator.expressions import Array, Expression, Object, Reference
from bloge_orchestrator.expressions.static import literal
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.operators import Json, OperatorRegistry


class Retry(TypedDict, total=False):
    """A retry policy as in the language: `attempts` counts retries, a duration is a timedelta or a text like "2s"."""

    attempts: int
    backoff: timedelta | str
    strategy: str
    max_backoff: timedelta | str
    non_retryable: Sequence[str]


class NodeSettings(TypedDict, total=False):
    """The settings of a node, under their names in the language; a setting left out is absent."""

    depends_on: Sequence[str]
    timeout: timedelta | str
    retry: Retry
    fallback: Json
    on_dead_letter: str
    execution_mode: str
    worker_topic: str


def expr(text: str) -> Expression:
    """Read an expression, such as `load.output.items`.

    Raises:
        GraphInvalid: If the text is not an expression.

    """
    return parse_expression(text)


class GraphBuilder:
    """Builds a graph node by node. Values are plain Python; what is computed stands in `expr(...)`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._members: list[MemberDeclaration] = []

    def node(
        self,
        node_id: str,
        operator: str,
        *,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the language's own word for it
        **settings: Unpack[NodeSettings],
    ) -> Self:
        """Add a node.

        Args:
            node_id: Its id.
            operator: The name of its operator.
            input: Its input by field: plain values, timedeltas or `expr(...)`.
            **settings: Its other settings.

        Raises:
            GraphInvalid: If a duration is not one.
            TypeError: If a value cannot stand in a graph.

        """
        entries: list[Entry] = [Setting(name, _setting(name, value), None) for name, value in settings.items()]
        if input is not None:
            entries.append(
                Block("input", tuple(Setting(name, literal(value), None) for name, value in input.items()), None)
            )
        self._members.append(NodeDeclaration(node_id, OperatorReference(operator, None), tuple(entries), None))
        return self

    def transform(self, node_id: str, fields: Mapping[str, Any], *, let: Mapping[str, Any] | None = None) -> Self:
        """Add a transform.

        Args:
            node_id: Its id.
            fields: Its output by field: plain values, timedeltas or `expr(...)`.
            let: Names computed before the fields, in order.

        Raises:
            TypeError: If a value cannot stand in a graph.

        """
        locals_ = [Projection(name, literal(value), None, local=True) for name, value in (let or {}).items()]
        projections = [Projection(name, literal(value), None) for name, value in fields.items()]
        self._members.append(TransformDeclaration(node_id, (*locals_, *projections), None))
        return self

    def build(self) -> GraphSpec:
        """Check the graph and give it.

        Raises:
            GraphInvalid: If the graph has errors.

        """
        return check_declaration(self._declaration())[0]

    def compile(self, registry: OperatorRegistry) -> CompiledGraph:
        """Check the graph and compile it against the operators of this process.

        Raises:
            GraphInvalid: If the graph has errors.

        """
        spec, _ = check_declaration(self._declaration(), registry=registry)
        return compile_spec(spec, registry=registry)

    def _declaration(self) -> GraphDeclaration:
        return GraphDeclaration(self._name, tuple(self._members), None)


_BARE_WORDS = frozenset({"execution_mode", "on_dead_letter", "strategy"})
_DURATIONS = frozenset({"timeout", "backoff", "max_backoff"})


def _setting(name: str, value: Json) -> Expression:
    """Give a setting the form it has in the language, where some words are bare and durations have no quotes."""
    if name == "depends_on":
        return Array(tuple(Reference(dependency) for dependency in value))
    if name == "retry" and isinstance(value, dict):
        return Object(tuple((key, _setting(key, item)) for key, item in value.items()))
    if name in _BARE_WORDS and isinstance(value, str):
        return Reference(value)
    if name in _DURATIONS and isinstance(value, str):
        return parse_expression(value)
    return literal(value)
