"""Operators that run inside the orchestrator's own process, and the registry a graph is compiled against."""

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Json = Any
"""A plain JSON value: None, bool, int, float, str, list or dict with str keys."""

Implementation = Callable[..., Json | Awaitable[Json]]
_Decorated = TypeVar("_Decorated", bound=Implementation)


class OperatorError(ValueError):
    """An operator cannot be registered; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """Where a node runs: the grouped metadata that travels in an envelope and that an operator may ask for."""

    graph_name: str
    execution_id: str
    node_id: str
    definition_key: str = ""
    version_id: str = ""
    tenant_id: str = ""
    namespace: str = ""
    business_key: str = ""

    def to_json(self) -> dict[str, str]:
        """Give the eight members under their envelope names, in the order of the contract."""
        return {
            "graphName": self.graph_name,
            "executionId": self.execution_id,
            "nodeId": self.node_id,
            "definitionKey": self.definition_key,
            "versionId": self.version_id,
            "tenantId": self.tenant_id,
            "namespace": self.namespace,
            "businessKey": self.business_key,
        }


@dataclass(frozen=True, slots=True)
class OperatorContext:
    """What a local operator may know besides its input.

    It runs at least once: an attempt that was under way when its process died is made again, by another process, with
    the same number.
    """

    execution: ExecutionContext
    """Where it runs."""
    attempt: int
    """Number of the attempt, from 1."""

    @property
    def idempotency_key(self) -> str:
        """Names what the node does, the same in every attempt and every process, for systems that know such keys.

        At most 64 characters; nodes of other executions, and of other items of a foreach, have others.
        """
        name = f"{self.execution.execution_id}/{self.execution.node_id}"
        return hashlib.sha256(name.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LocalOperator:
    """A registered callable; it takes the node's input as one dict and, if it wants it, an `OperatorContext`."""

    name: str
    implementation: Implementation
    takes_context: bool

    def call(self, node_input: Mapping[str, Json], context: OperatorContext) -> Json | Awaitable[Json]:
        """Call the implementation; the answer is an awaitable if the implementation is asynchronous."""
        if self.takes_context:
            return self.implementation(node_input, context)
        return self.implementation(node_input)


class OperatorRegistry:
    """The local operators by name. Remote nodes are never looked up here."""

    def __init__(self) -> None:
        self._operators: dict[str, LocalOperator] = {}

    def operator(self, name: str) -> Callable[[_Decorated], _Decorated]:
        """Register the decorated function, sync or async, under `name`.

        Raises:
            OperatorError: If the name is taken or the function does not take one or two positional arguments.

        """

        def register(implementation: _Decorated) -> _Decorated:
            self.register(name, implementation)
            return implementation

        return register

    def register(self, name: str, implementation: Implementation) -> LocalOperator:
        """Register a callable under `name` and return the operator.

        Raises:
            OperatorError: If the name is taken or the callable does not take one or two positional arguments.

        """
        if name in self._operators:
            raise OperatorError(f"operator {name} is already registered; give one of the two another name")
        operator = LocalOperator(name, implementation, takes_context=_takes_context(name, implementation))
        self._operators[name] = operator
        return operator

    def lookup(self, name: str) -> LocalOperator | None:
        """Find an operator, or answer None."""
        return self._operators.get(name)

    def names(self) -> tuple[str, ...]:
        """List the registered names in alphabetical order."""
        return tuple(sorted(self._operators))


def _takes_context(name: str, implementation: Implementation) -> bool:
    signature = inspect.signature(implementation)
    for takes_context, arguments in ((True, ({}, None)), (False, ({},))):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return takes_context
    raise OperatorError(
        f"operator {name} must take the input and, if it wants it, the context; its signature is {signature}"
    )
