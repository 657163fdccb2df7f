"""The front door: starts executions, runs them, and tells about them."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Self

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge_orchestrator.arguments import check_business_key, check_name, encoded_input
from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.compiler import compile_spec
from bloge_orchestrator.control_plane import ADDRESS_VARIABLE, DEFAULT_ADDRESS, ControlPlane, checked_address
from bloge_orchestrator.errors import InvalidExecutionError
from bloge_orchestrator.execution.events import ExecutionStatus
from bloge_orchestrator.execution.payload import missing_operators
from bloge_orchestrator.execution.result import ExecutionResult
from bloge_orchestrator.execution.runner import OnEvent
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.graph_json import encode_graph
from bloge_orchestrator.handle import ExecutionHandle, ExecutionInfo
from bloge_orchestrator.operators import Json, OperatorRegistry
from bloge_orchestrator.owner import Resources
from bloge_orchestrator.patience import Patience
from bloge_orchestrator.serving import DEFAULT_CONCURRENCY, DEFAULT_TOPIC, Serving
from bloge_orchestrator.tracing import start_span

_PAGE = 100
_CLAIM_AGAIN_SECONDS = 2.0
"""How often `run` asks for an execution that somebody else owns: an owner that died leaves its lease behind."""

Graph = CompiledGraph | GraphSpec


def wall_clock() -> int:
    """Give the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Orchestrator:
    """Starts and runs executions, which outlive it. An asynchronous context manager.

    Args:
        address: Where the server is, `host:port` or `unix:/path`; None for BLOGE_ADDRESS, else 127.0.0.1:7070.
        registry: Local operators: those that executions run with in this process.
        namespace: Whose executions.
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
        check_name("namespace", namespace)
        self.address = checked_address(address or os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS)
        self.namespace = namespace
        self._registry = registry or OperatorRegistry()
        self._secrets = dict(secrets or {})
        self._control_plane: ControlPlane | None = None

    async def __aenter__(self) -> Self:
        self._control_plane = ControlPlane(self.address)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        if self._control_plane is not None:
            await self._control_plane.close()
            self._control_plane = None

    async def start(
        self,
        graph: Graph,
        input: Mapping[str, Json] | None = None,  # noqa: A002 - the language's own word for it
        *,
        business_key: str = "",
        worker_topic: str = DEFAULT_TOPIC,
    ) -> ExecutionHandle:
        """Start an execution; whoever serves its topic runs it.

        Args:
            graph: The graph. The execution keeps it as it is now. Its local operators are those of whoever runs it.
            input: What expressions see as `ctx`, plain JSON.
            business_key: Up to 256 characters. Starting the graph again with the same key gives the same execution, for
                as long as that one can be read.
            worker_topic: The topic that its orchestrators claim from.

        Raises:
            InvalidExecutionError: If an argument is not as it should be.
            ControlPlaneUnreachableError: If no server answers.
            RemoteWorkersError: If the server refuses, for example TOO_LARGE.

        """
        request = self._start_request(graph, input, business_key, worker_topic)
        response = await self._ask_to_start(request)
        return self.execution(response.execution_id)

    async def run(
        self,
        graph: Graph,
        input: Mapping[str, Json] | None = None,  # noqa: A002 - the language's own word for it
        *,
        business_key: str = "",
        worker_topic: str = DEFAULT_TOPIC,
        lease: timedelta | None = None,
        on_event: OnEvent | None = None,
    ) -> ExecutionResult:
        """Start an execution, own it, and wait for its end. A node that fails does not raise: the result tells.

        If this process ends before, whoever serves the topic goes on with it, or another `run` with the same key.

        Args:
            graph: As for `start`; a graph that is not compiled is, with the operators of this process.
            input: As for `start`.
            business_key: As for `start`.
            worker_topic: As for `start`.
            lease: How long the execution waits if this process dies, 1 s to 1 h; None for the server's default.
            on_event: Called with each event once it is recorded, on the event loop; must not block.

        Raises:
            GraphInvalid: If the graph names operators that this process does not have.
            InvalidExecutionError: If an argument is not as it should be.
            ControlPlaneUnreachableError: If no server answers at the start.
            RemoteWorkersError: If the server refuses.

        """
        running = self.running(graph, input, business_key=business_key, worker_topic=worker_topic, lease=lease)
        async with running as handle:
            return await handle.result(on_event=on_event)

    @asynccontextmanager
    async def running(
        self,
        graph: Graph,
        input: Mapping[str, Json] | None = None,  # noqa: A002 - the language's own word for it
        *,
        business_key: str = "",
        worker_topic: str = DEFAULT_TOPIC,
        lease: timedelta | None = None,
    ) -> AsyncIterator[ExecutionHandle]:
        """Start an execution and own it while the block runs; afterwards it goes on elsewhere, unless it has ended.

        The arguments, and what is raised, are those of `run`.
        """
        compiled = graph if isinstance(graph, CompiledGraph) else compile_spec(graph, registry=self._registry)
        if missing := missing_operators(compiled):
            raise InvalidExecutionError(f"graph: has no operator {', '.join(missing)}; compile it with them registered")
        request = self._start_request(compiled, input, business_key, worker_topic)
        async with self.serving(worker_topic, concurrency=0, lease=lease) as serving:
            serving.know(compiled)
            request.owner_id = serving.owner_id
            if lease is not None:
                request.lease_duration.FromTimedelta(lease)
            handle = await self._start_and_own(request, serving)
            owning = asyncio.create_task(self._own_again(handle, request, serving))
            try:
                yield handle
            finally:
                owning.cancel()
                await asyncio.gather(owning, return_exceptions=True)

    def serving(
        self,
        *worker_topics: str,
        concurrency: int = DEFAULT_CONCURRENCY,
        lease: timedelta | None = None,
        drain_grace: timedelta = timedelta(seconds=10),
    ) -> Serving:
        """Own executions of some topics, in the background, while the returned object is entered.

        Args:
            worker_topics: The topics; none for `executions`.
            concurrency: The most executions at once, up to 10,000. They mostly wait, so make it large: what is beyond
                it does not begin.
            lease: How long an execution waits for a process that has died, 1 s to 1 h; None for the server's default.
            drain_grace: How long local attempts that run have to come to their end when it is left, at least 0.1 s.

        Raises:
            InvalidExecutionError: If a topic is not a name, or the orchestrator is not open.
            ConfigError: If another argument is out of range.

        """
        topics = worker_topics or (DEFAULT_TOPIC,)
        for topic in topics:
            check_name("worker_topic", topic)
        resources = Resources(self._open(), self.namespace, self._registry, self._secrets, wall_clock)
        return Serving(
            resources,
            self.address,
            topics,
            concurrency=concurrency,
            lease_seconds=None if lease is None else lease.total_seconds(),
            drain_seconds=drain_grace.total_seconds(),
        )

    def execution(self, execution_id: str) -> ExecutionHandle:
        """Give a handle of an execution, which the server is not asked about yet.

        Raises:
            InvalidExecutionError: If the id is not a name, or the orchestrator is not open.

        """
        check_name("execution_id", execution_id)
        return ExecutionHandle(self._open(), self.namespace, execution_id)

    async def executions(
        self, *, status: ExecutionStatus | None = None, graph_name: str = ""
    ) -> AsyncIterator[ExecutionInfo]:
        """Yield executions, latest first, page by page.

        Args:
            status: The only one that is wanted.
            graph_name: The only one that is wanted.

        Raises:
            ControlPlaneUnreachableError: If no server answers.
            RemoteWorkersError: If the server refuses.

        """
        wanted = pb.ExecutionStatus.Value(f"EXECUTION_STATUS_{status or 'UNSPECIFIED'}")
        request = pb.ListRequest(namespace=self.namespace, page_size=_PAGE, status=wanted, graph_name=graph_name)
        while True:
            page = await self._open().executions.list(request)
            for message in page.executions:
                yield ExecutionInfo.of(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _start_request(
        self, graph: Graph, given: Mapping[str, Json] | None, business_key: str, worker_topic: str
    ) -> pb.StartRequest:
        check_name("worker_topic", worker_topic)
        check_business_key(business_key)
        spec = graph.spec if isinstance(graph, CompiledGraph) else graph
        return pb.StartRequest(
            namespace=self.namespace,
            graph_name=spec.name,
            graph=encode_graph(spec),
            input=encoded_input(given),
            business_key=business_key,
            worker_topic=worker_topic,
            request_id=str(uuid.uuid4()),
        )

    async def _ask_to_start(self, request: pb.StartRequest) -> pb.StartResponse:
        with start_span(request):
            return await self._open().executions.start(request)

    async def _start_and_own(self, request: pb.StartRequest, serving: Serving) -> ExecutionHandle:
        sent_at = serving.now()
        response = await self._ask_to_start(request)
        if response.HasField("lease"):
            serving.adopt(response.lease, sent_at)
        return self.execution(response.execution_id)

    async def _own_again(self, handle: ExecutionHandle, request: pb.StartRequest, serving: Serving) -> None:
        """Take the execution over whenever nobody owns it: an earlier owner has died, or this one's lease has run out.

        Ends with the execution, so that it is never started anew.
        """
        patience = Patience("the execution cannot be asked for", Random())
        while True:
            await asyncio.sleep(_CLAIM_AGAIN_SECONDS)
            if not serving.owned:
                info = await patience.insist(handle.status)
                if info.status.ended:
                    return
                if not info.owner:
                    await patience.insist(lambda: self._start_and_own(request, serving))

    def _open(self) -> ControlPlane:
        if self._control_plane is None:
            raise InvalidExecutionError("the orchestrator is not open: use it as `async with Orchestrator(...)`")
        return self._control_plane
