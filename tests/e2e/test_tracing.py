"""One trace from the caller of an execution to the worker's report, across orchestrator, server and worker."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from bloge_orchestrator import Orchestrator
from bloge_server.app import App
from bloge_server.config import Settings
from bloge_server.store import connection
from bloge_worker import BusinessError, Worker
from support import spans, waiting
from support.executions import compiled
from support.store_process import running_store

from . import traced_handlers

TRACER = trace.get_tracer("test")


class ServerThread(threading.Thread):
    """A control plane in this process, on an event loop of its own: its spans are kept with all others.

    Args:
        url: of the store.
        socket: to listen on.
    """

    def __init__(self, url: str, socket: Path) -> None:
        super().__init__(daemon=True)
        self.settings = Settings(listen=f"unix:{socket}", http_listen="off", redis_url=url, drain_seconds=0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._begun = threading.Event()

    def run(self) -> None:
        """Serve until told to stop."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        async with connection.connected(self.settings.redis_url) as client:
            await App(self.settings, client).serve(self._ended)

    def end(self) -> None:
        """Stop it."""
        self._begun.wait(30)
        assert self._loop is not None
        assert self._ended is not None
        self._loop.call_soon_threadsafe(self._ended.set)
        self.join(30)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Address of a control plane in this process."""
    with running_store(tmp_path) as url:
        socket = tmp_path / "api.sock"
        server = ServerThread(url, socket)
        server.start()
        waiting.until(socket.exists, "the server listens")
        yield server.settings.listen
        server.end()


@asynccontextmanager
async def working(address: str) -> AsyncIterator[Worker]:
    """Run a worker whose handlers have spans of their own."""
    worker = Worker(address, slots=4)

    @worker.handler("far", operator="Async")
    async def run_async(value: dict[str, int]) -> object:
        with TRACER.start_as_current_span("user work"):
            return value["n"] + 1

    @worker.handler("far", operator="Thread")
    def run_in_thread(value: dict[str, int]) -> object:
        with TRACER.start_as_current_span("user work"):
            return value["n"] + 1

    @worker.handler("far", operator="Broken")
    async def broken(value: object) -> object:
        raise BusinessError("NO_FUNDS", str(value))

    worker.handler("far", operator="Process", executor="process")(traced_handlers.tell_current)
    async with worker:
        yield worker


def far(operator: str, settings: str = "") -> str:
    """Write a remote node."""
    remote = 'execution_mode = remote worker_topic = "far" timeout = 1m'
    return f"node far : {operator} {{ input {{ n = 1 }} {remote} {settings} }}"


async def execute(address: str, operator: str, extra: str = "") -> tuple[str, dict[str, ReadableSpan]]:
    """Run a graph of one remote node inside a span; return the output as JSON, and the first span of each name."""
    exporter = spans.exporter()
    async with working(address), Orchestrator(address) as orchestrator:
        with TRACER.start_as_current_span("app") as app:
            result = await orchestrator.run(compiled(far(operator, extra)))
        trace_id = app.get_span_context().trace_id
    assert exporter.get_finished_spans()
    found = {span.name: span for span in reversed(spans.finished(trace_id))}
    return json.dumps(result.outputs.get("far")), found


def chain(found: dict[str, ReadableSpan], name: str) -> list[str]:
    """Return the names of a span and of all above it."""
    names = {span.context.span_id: each for each, span in found.items() if span.context is not None}
    way = [name]
    while (parent := found[way[-1]].parent) is not None:
        way.append(names[parent.span_id])
    return way


@pytest.mark.parametrize("operator", ["Async", "Thread"])
async def test_every_step_is_a_span_below_the_one_before(address: str, operator: str) -> None:
    """From the caller's own span to the handler's own span, and to the report that the server accepted."""
    output, found = await execute(address, operator)
    assert output == "2"
    above = [f"run {operator}", "claim far", "enqueue far", "run g", "claim executions", "start g", "app"]
    assert chain(found, "user work") == ["user work", *above]
    assert chain(found, "complete") == ["complete", *above]
    run = found[f"run {operator}"]
    assert run.attributes is not None
    assert run.attributes["messaging.destination.name"] == "far"
    assert run.attributes["bloge.node_id"] == "far"
    assert run.attributes["bloge.end"] == "complete"
    assert run.status.is_unset


async def test_what_goes_wrong_is_marked(address: str) -> None:
    """A failed run, and the report that says so."""
    _, found = await execute(address, "Broken", "fallback = { spare: true }")
    run = found["run Broken"]
    assert run.status.description == "NO_FUNDS"
    assert not run.status.is_ok
    assert chain(found, "fail")[1] == "run Broken"


async def test_a_handler_in_a_process_of_its_own_stays_in_the_trace(address: str) -> None:
    """The span of the run, which the worker's process has, is current in the child."""
    output, found = await execute(address, "Process")
    context = found["run Process"].context
    assert context is not None
    assert json.loads(output) == {"trace": f"{context.trace_id:032x}", "span": f"{context.span_id:016x}"}


async def test_what_is_not_sampled_has_no_spans(address: str) -> None:
    """And works all the same."""
    unsampled = trace.NonRecordingSpan(
        trace.SpanContext(0x1234, 0x5678, is_remote=False, trace_flags=trace.TraceFlags(0))
    )
    async with working(address), Orchestrator(address) as orchestrator:
        with trace.use_span(unsampled):
            result = await orchestrator.run(compiled(far("Async")))
    assert result.outputs == {"far": 2}
    assert [span.name for span in spans.finished(0x1234)] in ([], ["user work"])
