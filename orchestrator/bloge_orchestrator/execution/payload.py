"""What an EXECUTE_GRAPH work item holds: the graph as it was when the execution was started, and its input."""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass

from bloge_orchestrator.compiled import CompiledGraph, link
from bloge_orchestrator.graph import GraphSpec, NodeKind
from bloge_orchestrator.graph_json import decode_graph, encode_graph
from bloge_orchestrator.operators import Json, OperatorRegistry

_GRAPHS_KEPT = 256


class PayloadError(ValueError):
    """A payload is not that of an execution."""


@dataclass(frozen=True, slots=True)
class ExecutionPayload:
    """The parts of a payload."""

    graph: Json
    """In its recorded form."""
    graph_hash: str
    input: Json
    business_key: str

    @classmethod
    def parse(cls, payload: bytes) -> "ExecutionPayload":
        """Read a payload as the server writes it.

        Raises:
            PayloadError: If it is none.

        """
        try:
            members = json.loads(payload)
            return cls(members["graph"], members["graphHash"], members["input"], members["businessKey"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise PayloadError(f"not the payload of an execution: {error!r}") from error


class GraphLibrary:
    """The graphs of executions, linked with the operators of this process; executions of one graph share it.

    Args:
        registry: The local operators.
    """

    def __init__(self, registry: OperatorRegistry) -> None:
        self._registry = registry
        self._graphs: OrderedDict[str, CompiledGraph] = OrderedDict()

    def know(self, graph: CompiledGraph) -> None:
        """Use a graph as it is, with the operators it has, for every execution of it."""
        self._keep(hashlib.sha256(encode_graph(graph.spec)).hexdigest(), graph)

    def graph_of(self, payload: ExecutionPayload) -> CompiledGraph:
        """Give the graph of an execution. A local operator that is not registered here is None in it.

        Raises:
            GraphFormatError: If a later version has written it.

        """
        found = self._graphs.get(payload.graph_hash) or link(recorded_graph(payload), self._registry)
        self._keep(payload.graph_hash, found)
        return found

    def _keep(self, graph_hash: str, graph: CompiledGraph) -> None:
        self._graphs[graph_hash] = graph
        self._graphs.move_to_end(graph_hash)
        if len(self._graphs) > _GRAPHS_KEPT:
            self._graphs.popitem(last=False)


def missing_operators(graph: CompiledGraph) -> list[str]:
    """List the local operators that a graph names and does not have."""
    local = (node for node in graph.scope.every_node() if node.spec.kind is NodeKind.LOCAL)
    return sorted({node.spec.operator_ref for node in local if node.operator is None})


def recorded_graph(payload: ExecutionPayload) -> GraphSpec:
    """Read the graph of a payload.

    Raises:
        GraphFormatError: If a later version has written it.

    """
    return decode_graph(json.dumps(payload.graph))
