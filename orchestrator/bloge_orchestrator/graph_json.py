"""The canonical JSON form of a graph: what an execution records, and what its content hash is taken from.

Durations are whole milliseconds, expressions their canonical text. Keys are sorted, absent parts left out.
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
    Fallback,
    GraphSpec,
    NodeKind,
    NodeSpec,
    OnDeadLetter,
    RetryPolicy,
    TypeSpec,
)
from bloge_orchestrator.operators import Json

FORMAT = 1
"""Number of this form; raised when an older reader would misunderstand a new document."""

_Item = TypeVar("_Item")


class GraphFormatError(ValueError):
    """A document is not a graph in a form this version can read."""


def content_hash(graph: GraphSpec) -> str:
    """SHA-256 of the canonical form, in hexadecimal: equal for graphs that mean the same, however written."""
    return hashlib.sha256(encode_graph(graph)).hexdigest()


def encode_graph(graph: GraphSpec) -> bytes:
    """Write the canonical form, UTF-8; `decode_graph` gives an equal graph back."""
    document = _present(
        format=FORMAT,
        name=graph.name,
        nodes=[_encode_node(node) for node in graph.nodes],
        schemas={name: _encode_type(schema) for name, schema in graph.schemas.items()},
        input=_optional(_encode_type, graph.input),
        output=_optional(_encode_type, graph.output),
    )
    return json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def decode_graph(document: bytes | str) -> GraphSpec:
    """Read the canonical form.

    Raises:
        GraphFormatError: If the document is not a graph of a known format.

    """
    try:
        return _decode_graph(json.loads(document))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, GraphInvalid) as error:
        raise GraphFormatError(f"not a recorded graph of format {FORMAT}: {error!r}") from error


def _decode_graph(document: Mapping[str, Any]) -> GraphSpec:
    if document["format"] != FORMAT:
        raise GraphFormatError(f"the format is {document['format']}")
    return GraphSpec(
        name=document["name"],
        nodes=tuple(_decode_node(node) for node in document["nodes"]),
        schemas={name: _decode_type(schema) for name, schema in document["schemas"].items()},
        input=_optional(_decode_type, document.get("input")),
        output=_optional(_decode_type, document.get("output")),
    )


def _encode_node(node: NodeSpec) -> dict[str, Json]:
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
    )


def _decode_node(node: Mapping[str, Any]) -> NodeSpec:
    return NodeSpec(
        id=node["id"],
        operator_ref=node["operatorRef"],
        kind=NodeKind(node["kind"]),
        input=_decode_expressions(node["input"].items()),
        locals=_decode_expressions(node["locals"]),
        depends_on=tuple(node["dependsOn"]),
        timeout=_optional(from_milliseconds, node.get("timeoutMs")),
        retry=_decode_retry(node["retry"]),
        fallback=_optional(lambda fallback: Fallback(fallback["value"]), node.get("fallback")),
        on_dead_letter=OnDeadLetter(node["onDeadLetter"]),
        worker_topic=node.get("workerTopic"),
        output=_optional(_decode_type, node.get("output")),
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
