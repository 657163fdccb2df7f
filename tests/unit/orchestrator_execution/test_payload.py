"""What an execution's work item holds."""

import hashlib
import json
from typing import Any

import pytest

from bloge_orchestrator import OperatorRegistry
from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.execution.payload import ExecutionPayload, GraphLibrary, PayloadError, missing_operators
from bloge_orchestrator.graph_json import GraphFormatError, encode_graph
from support.executions import compiled, registry

GRAPH = "node a : Op { timeout = 1s } foreach f : i in [1] { node b : Op { timeout = 1s } }"


def payload(compiled_graph: CompiledGraph, **changes: Any) -> bytes:
    """Return the payload of an execution, as the server writes it."""
    recorded = encode_graph(compiled_graph.spec)
    members = {
        "graph": json.loads(recorded),
        "input": {"x": 1},
        "graphHash": hashlib.sha256(recorded).hexdigest(),
        "businessKey": "k",
    }
    return json.dumps({**members, **changes}).encode()


def parsed(**changes: Any) -> ExecutionPayload:
    """Return a payload, read."""
    return ExecutionPayload.parse(payload(compiled(GRAPH), **changes))


def test_executions_of_one_graph_share_it() -> None:
    """It is read once, with the operators of this process."""
    library = GraphLibrary(registry())
    graph = library.graph_of(parsed())
    assert graph.spec == compiled(GRAPH).spec
    assert library.graph_of(parsed(input={})) is graph
    assert missing_operators(graph) == []
    assert (parsed().input, parsed().business_key) == ({"x": 1}, "k")


def test_operators_that_are_not_here_are_named() -> None:
    """Those inside of other nodes too; each once."""
    assert missing_operators(GraphLibrary(OperatorRegistry()).graph_of(parsed())) == ["Op"]


def test_a_graph_that_is_known_is_used_as_it_is() -> None:
    """With the operators that it has, whatever is registered."""
    library, graph = GraphLibrary(OperatorRegistry()), compiled(GRAPH)
    library.know(graph)
    assert library.graph_of(parsed()) is graph


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"graph":{}}', b"null"])
def test_what_is_no_payload_is_told(text: bytes) -> None:
    """Somebody has enqueued an item of this type by hand."""
    with pytest.raises(PayloadError, match="not the payload of an execution"):
        ExecutionPayload.parse(text)


@pytest.mark.parametrize("graph", [{"format": 99}, {}, [], "text"])
def test_a_graph_of_a_later_version_is_told(graph: Any) -> None:
    """Another process may be able to run it."""
    with pytest.raises(GraphFormatError):
        GraphLibrary(registry()).graph_of(parsed(graph=graph, graphHash="other"))
