"""The canonical JSON form of a graph: what an execution records, and what its content hash is taken from.

Durations are whole milliseconds, expressions their canonical text. Keys are sorted, absent parts left out. The graphs
of sub-graph nodes stand once each in `graphs`, by their content hash, which is what the nodes name.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

from bloge_orchestrator.diagnostics import GraphInvalid
from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.durations import from_milliseconds, to_milliseconds
from bloge_orchestrator.expressions import Expression
from bloge_orchestrator.expressions.formatter import format_expression
from bloge_orchestrator.graph import (
    BackoffStrategy,
    BranchArm,
    BranchSpec,
    Construct,
    Fallback,
    ForeachSpec,
    GraphSpec,
    NodeKind,
    NodeSpec,
    OnDeadLetter,
    OnItemFailure,
    RetryPolicy,
    SubgraphScope,
    SubgraphSpec,
    TypeSpec,
)
from bloge_orchestrator.operators import Json

FORMAT = 1
"""Number of this form; raised when an older reader would misunderstand a new document."""

_Item = TypeVar("_Item")


class GraphFormatError(ValueError):
    """A document is not a graph in a form this version can read."""


def content_hash(graph: GraphSpec) -> str:
    """SHA-256 of the canonical form without `graphs`, in hexadecimal: equal for graphs that mean the same."""
    return _Encoder().hash_of(graph)


def encode_graph(graph: GraphSpec) -> bytes:
    """Write the canonical form, UTF-8; `decode_graph` gives an equal graph back."""
    encoder = _Encoder()
    document = encoder.graph(graph)
    return _written({**document, "graphs": encoder.graphs} if encoder.graphs else document)


def decode_graph(document: bytes | str) -> GraphSpec:
    """Read the canonical form.

    Raises:
        GraphFormatError: If the document is not a graph of a known format.

    """
    try:
        return _decode(json.loads(document))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, GraphInvalid) as error:
        raise GraphFormatError(f"not a recorded graph of format {FORMAT}: {error!r}") from error


def _decode(document: Mapping[str, Any]) -> GraphSpec:
    if document["format"] != FORMAT:
        raise GraphFormatError(f"the format is {document['format']}")
    return _Decoder(document.get("graphs", {})).graph(document)


def _written(document: Json) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


class _Encoder:
    """Writes a graph; collects the graphs of its sub-graph nodes in `graphs`."""

    def __init__(self) -> None:
        self.graphs: dict[str, Json] = {}
        self._hashes: dict[int, str] = {}

    def hash_of(self, graph: GraphSpec) -> str:
        """Give the content hash of a graph."""
        return hashlib.sha256(_written(self.graph(graph))).hexdigest()

    def graph(self, graph: GraphSpec) -> dict[str, Json]:
        """Write a graph without the graphs it holds."""
        return _present(
            format=FORMAT,
            name=graph.name,
            nodes=[self._node(node) for node in graph.nodes],
            schemas={name: _encode_type(schema) for name, schema in graph.schemas.items()},
            input=_optional(_encode_type, graph.input),
            output=_optional(_encode_type, graph.output),
        )

    def _node(self, node: NodeSpec) -> dict[str, Json]:
        return _present(
            id=node.id,
            operatorRef=node.operator_ref,
            kind=node.kind.value,
            input={name: format_expression(expression) for name, expression in node.input.items()},
            locals=[[name, format_expression(expression)] for name, expression in node.locals.items()],
            dependsOn=list(node.depends_on),
            timeoutMs=_optional(to_milliseconds, node.timeout),
            retry=_encode_retry(node.retry),
            fallback=_optional(lambda fallback: {"value": fallback.value}, node.fallback),
            onDeadLetter=node.on_dead_letter.value,
            workerTopic=node.worker_topic,
            output=_optional(_encode_type, node.output),
            construct=_optional(self._construct, node.construct),
        )

    def _construct(self, construct: Construct) -> dict[str, Json]:
        match construct:
            case BranchSpec():
                return _encode_branch(construct)
            case ForeachSpec():
                return _present(
                    items=format_expression(construct.items),
                    item=construct.item_name,
                    index=construct.index_name,
                    body=[self._node(node) for node in construct.body],
                    maxConcurrency=construct.max_concurrency,
                    onItemFailure=construct.on_item_failure.value,
                )
            case SubgraphSpec(graph, scope):
                return {"graph": self._shared(graph), "scope": scope.value}

    def _shared(self, graph: GraphSpec) -> str:
        if id(graph) not in self._hashes:
            document = self.graph(graph)
            key = hashlib.sha256(_written(document)).hexdigest()
            self._hashes[id(graph)], self.graphs[key] = key, document
        return self._hashes[id(graph)]


class _Decoder:
    """Reads graphs; those of sub-graph nodes are read once each."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self._documents = documents
        self._graphs: dict[str, GraphSpec] = {}

    def graph(self, document: Mapping[str, Any]) -> GraphSpec:
        """Read a graph."""
        return GraphSpec(
            name=document["name"],
            nodes=self._nodes(document["nodes"]),
            schemas={name: _decode_type(schema) for name, schema in document["schemas"].items()},
            input=_optional(_decode_type, document.get("input")),
            output=_optional(_decode_type, document.get("output")),
        )

    def _nodes(self, nodes: Iterable[Mapping[str, Any]]) -> tuple[NodeSpec, ...]:
        return tuple(self._node(node) for node in nodes)

    def _node(self, node: Mapping[str, Any]) -> NodeSpec:
        kind = NodeKind(node["kind"])
        return NodeSpec(
            id=node["id"],
            operator_ref=node["operatorRef"],
            kind=kind,
            input=_decode_expressions(node["input"].items()),
            locals=_decode_expressions(node["locals"]),
            depends_on=tuple(node["dependsOn"]),
            timeout=_optional(from_milliseconds, node.get("timeoutMs")),
            retry=_decode_retry(node["retry"]),
            fallback=_optional(lambda fallback: Fallback(fallback["value"]), node.get("fallback")),
            on_dead_letter=OnDeadLetter(node["onDeadLetter"]),
            worker_topic=node.get("workerTopic"),
            output=_optional(_decode_type, node.get("output")),
            construct=self._construct(kind, node.get("construct")),
        )

    def _construct(self, kind: NodeKind, construct: Json) -> Construct | None:
        match kind:
            case NodeKind.BRANCH:
                return _decode_branch(construct)
            case NodeKind.FOREACH:
                return ForeachSpec(
                    items=_expression(construct["items"]),
                    item_name=construct["item"],
                    body=self._nodes(construct["body"]),
                    index_name=construct.get("index"),
                    max_concurrency=construct.get("maxConcurrency"),
                    on_item_failure=OnItemFailure(construct["onItemFailure"]),
                )
            case NodeKind.SUBGRAPH:
                return SubgraphSpec(self._shared(construct["graph"]), SubgraphScope(construct["scope"]))
            case NodeKind.LOCAL | NodeKind.REMOTE | NodeKind.TRANSFORM:
                return None

    def _shared(self, key: str) -> GraphSpec:
        if key not in self._graphs:
            self._graphs[key] = self.graph(self._documents[key])
        return self._graphs[key]


def _encode_branch(branch: BranchSpec) -> dict[str, Json]:
    return {
        "on": format_expression(branch.subject),
        "arms": [{"value": format_expression(arm.value), "targets": list(arm.targets)} for arm in branch.arms],
        "otherwise": list(branch.otherwise),
        "inclusive": branch.inclusive,
    }


def _decode_branch(branch: Mapping[str, Any]) -> BranchSpec:
    return BranchSpec(
        subject=_expression(branch["on"]),
        arms=tuple(BranchArm(_expression(arm["value"]), tuple(arm["targets"])) for arm in branch["arms"]),
        otherwise=tuple(branch["otherwise"]),
        inclusive=branch["inclusive"],
    )


def _decode_expressions(pairs: Iterable[tuple[str, str]]) -> dict[str, Expression]:
    return {name: _expression(text) for name, text in pairs}


@lru_cache(maxsize=4096)
def _expression(text: str) -> Expression:
    """Parse an expression once: an orchestrator that takes over executions reads the same graphs again and again."""
    return parse_expression(text)


def _encode_retry(retry: RetryPolicy) -> dict[str, Json]:
    return _present(
        attempts=retry.attempts,
        backoffMs=to_milliseconds(retry.backoff),
        strategy=retry.strategy.value,
        maxBackoffMs=_optional(to_milliseconds, retry.max_backoff),
        nonRetryable=list(retry.non_retryable),
    )


def _decode_retry(retry: Mapping[str, Any]) -> RetryPolicy:
    max_backoff: timedelta | None = _optional(from_milliseconds, retry.get("maxBackoffMs"))
    return RetryPolicy(
        attempts=retry["attempts"],
        backoff=from_milliseconds(retry["backoffMs"]),
        strategy=BackoffStrategy(retry["strategy"]),
        max_backoff=max_backoff,
        non_retryable=tuple(retry["nonRetryable"]),
    )


def _encode_type(declared: TypeSpec) -> dict[str, Json]:
    return _present(
        name=declared.name,
        fields=_optional(lambda fields: {name: _encode_type(field) for name, field in fields.items()}, declared.fields),
        items=_optional(_encode_type, declared.items),
        optional=declared.optional or None,
    )


def _decode_type(declared: Mapping[str, Any]) -> TypeSpec:
    return TypeSpec(
        name=declared.get("name"),
        fields=_optional(
            lambda fields: {name: _decode_type(field) for name, field in fields.items()}, declared.get("fields")
        ),
        items=_optional(_decode_type, declared.get("items")),
        optional=declared.get("optional", False),
    )


def _optional(convert: Callable[[Any], _Item], value: Json) -> _Item | None:
    return None if value is None else convert(value)


def _present(**members: Json) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value is not None}
