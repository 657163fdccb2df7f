"""Runs executions in this process."""

import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.compiler import compile_spec
from bloge_orchestrator.control_plane import ADDRESS_VARIABLE, DEFAULT_ADDRESS, ControlPlane, checked_address
from bloge_orchestrator.errors import InvalidExecutionError
from bloge_orchestrator.execution.happenings import Begun, CancelAsked
from bloge_orchestrator.execution.journal import MemoryJournal
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.remote_items import WorkItemsOf
from bloge_orchestrator.execution.result import ExecutionResult, result_of
from bloge_orchestrator.execution.runner import OnEvent, Runner
from bloge_orchestrator.execution.values import NotJsonError, plain_copy
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.operators import Json, OperatorRegistry

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_BUSINESS_KEY_LENGTH = 256


def wall_clock() -> int:
    """Give the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Orchestrator:
    """Runs executions; they live in this process and end with it. An asynchronous context manager.

    Args:
        address: Where the server is, `host:port` or `unix:/path`; None for BLOGE_ADDRESS, else 127.0.0.1:7070. It is
            asked for nothing until a graph with remote nodes is run.
        registry: Local operators, for graphs that are run uncompiled.
        namespace: Whose work items the remote nodes become.
        secrets: Serve secret() in expressions. What a remote node's input takes of them goes to its worker.

    Raises:
        InvalidAddressError: If the address is not one.
        InvalidExecutionError: If the namespace is not a name.

    """

    def __init__(
        self,
        address: str | None = None,
        *,
        registry: OperatorRegistry | None = None,
        namespace: str = "default",
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        _check_name("namespace", namespace)
        self.address = checked_address(address or os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS)
        self.namespace = namespace
        self._registry = registry or OperatorRegistry()
        self._secrets = dict(secrets or {})
        self._control_plane: ControlPlane | None = None
        self._reached = False
        self._running: dict[str, Runner] = {}

    async def __aenter__(self) -> Self:
        self._control_plane = ControlPlane(self.address)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection. Executions that still run should be cancelled or awaited before."""
        if self._control_plane is not None:
            await self._control_plane.close()
            self._control_plane = None

    async def run(
        self,
        graph: CompiledGraph | GraphSpec,
        input: Mapping[str, Json] | None = None,  # noqa: A002 - the language's own word for it
        *,
        execution_id: str | None = None,
        business_key: str = "",
        on_event: OnEvent | None = None,
    ) -> ExecutionResult:
        """Run a graph to its end. A node that fails does not raise: the result tells.

        If the calling task is cancelled, the work items that nodes wait for are withdrawn.

        Args:
            graph: The graph.
            input: What expressions see as `ctx`, plain JSON.
            execution_id: A name no execution had before, of at most 128 letters, digits, `.`, `_` and `-`. None for a
                random one.
            business_key: What the execution is about, for people and operators, up to 256 characters.
            on_event: Called with each event once it is recorded, on the event loop; must not block.

        Raises:
            InvalidExecutionError: If an argument is not as it should be.
            GraphInvalid: If a graph that is not compiled names operators the registry does not have.
            ControlPlaneUnreachableError: If the graph has remote nodes and no server answers.

        """
        begun = self._begun(input, execution_id, business_key)
        compiled = graph if isinstance(graph, CompiledGraph) else compile_spec(graph, registry=self._registry)
        plan = Plan(compiled, self._secrets)
        control_plane = await self._reach(needed=bool(plan.worker_topics))
        items = WorkItemsOf(control_plane, self.namespace)
        runner = Runner(plan, MemoryJournal(), items, wall_clock, on_event)
        with self._listed(begun.execution_id, runner), items.watched(plan.worker_topics, begun.execution_id, runner):
            try:
                return result_of(plan, await runner.run(begun))
            except BaseException:  # nobody is left who would take the outcomes
                await runner.withdraw("the execution was abandoned")
                raise

    async def cancel(self, execution_id: str, reason: str = "") -> bool:
        """End an execution: its work items are cancelled, nothing more begins, and its status becomes CANCELLED.

        Returns:
            False if no execution of this id runs here.

        """
        runner = self._running.get(execution_id)
        if runner is not None:
            runner.post(CancelAsked(reason))
        return runner is not None

    def _begun(self, given: Mapping[str, Json] | None, execution_id: str | None, business_key: str) -> Begun:
        if execution_id is not None:
            _check_name("execution_id", execution_id)
        if len(business_key) > _BUSINESS_KEY_LENGTH:
            raise InvalidExecutionError(f"business_key: has {len(business_key)} characters, {_BUSINESS_KEY_LENGTH} fit")
        return Begun(execution_id or str(uuid.uuid4()), self.namespace, business_key, _checked_input(given))

    async def _reach(self, *, needed: bool) -> ControlPlane:
        if self._control_plane is None:
            raise InvalidExecutionError("the orchestrator is not open: use it as `async with Orchestrator(...)`")
        if needed and not self._reached:
            await self._control_plane.check()
            self._reached = True
        return self._control_plane

    @contextmanager
    def _listed(self, execution_id: str, runner: Runner) -> Iterator[None]:
        if execution_id in self._running:
            raise InvalidExecutionError(f"execution_id: {execution_id} runs already; give this execution another id")
        self._running[execution_id] = runner
        try:
            yield
        finally:
            del self._running[execution_id]


def _check_name(field: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidExecutionError(f"{field}: {name!r} is not a name; 1 to 128 letters, digits, `.`, `_` and `-`")


def _checked_input(given: Mapping[str, Json] | None) -> Json:
    try:
        plain = plain_copy({} if given is None else given)
    except NotJsonError as error:
        raise InvalidExecutionError(f"input: is not plain JSON: {error}") from error
    if not isinstance(plain, dict):
        raise InvalidExecutionError(f"input: must be an object of fields, found {type(given).__name__}")
    return plain
