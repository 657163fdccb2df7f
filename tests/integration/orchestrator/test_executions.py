"""Executions on a real server, with a worker that does what the test says."""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from bloge.remote_workers.v1 import work_item_service_pb2 as pb
from bloge.remote_workers.v1.error_reason_pb2 import ERROR_REASON_CANCELLED
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub
from bloge_orchestrator import (
    ControlPlaneUnreachableError,
    Event,
    ExecutionResult,
    ExecutionStatus,
    GraphBuilder,
    InvalidExecutionError,
    NodeError,
    NodeStatus,
    OperatorRegistry,
    Orchestrator,
)
from bloge_orchestrator.execution.events import NodeSuspended
from support.executions import compiled
from support.server import ServerProcess
from support.unary_worker import UnaryWorker, unary_worker

FAR = 'node far : Far {{ execution_mode = remote worker_topic = "far" input {{ x = ctx.x }} {} }}'
NewWorker = Callable[..., UnaryWorker]


def far(settings: str, more: str = "") -> Any:
    """Compile a graph with one remote node, and more."""
    return compiled(FAR.format(settings) + more)


async def with_worker(
    server_address: str, namespace: str, graph: Any, work: Callable[[], None], **options: Any
) -> ExecutionResult:
    """Run a graph while the worker works."""
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        running = asyncio.create_task(orchestrator.run(graph, {"x": 1}, **options))
        await asyncio.gather(asyncio.to_thread(work), running)
        return running.result()


async def test_a_remote_graph_completes(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """The worker gets the envelope; its output flows on; everybody is told what happened."""
    envelopes: list[Any] = []
    events: list[Event] = []

    def work() -> None:
        lease = worker.claim()
        envelopes.append(json.loads(lease.spec.payload))
        worker.complete(lease, {"y": envelopes[0]["input"]["x"] + 1})

    graph = far("timeout = 1m", "transform t { z = far.output.y * 10 }")
    result = await with_worker(server_address, namespace, graph, work, business_key="b-9", on_event=events.append)
    assert (result.status, result.outputs) == (ExecutionStatus.COMPLETED, {"t": {"z": 20}})
    assert (result.nodes["far"].workers, result.nodes["far"].attempts) == (("w-1",), 1)
    assert envelopes[0]["operatorRef"] == "Far"
    context = envelopes[0]["executionContext"]
    assert (context["executionId"], context["nodeId"], context["businessKey"]) == (result.execution_id, "far", "b-9")
    assert [event.TYPE for event in events] == [
        "GRAPH_STARTED",
        "NODE_STARTED",
        "NODE_SUSPENDED",
        "NODE_RESUMED",
        "NODE_COMPLETED",
        "NODE_COMPLETED",
        "GRAPH_COMPLETED",
    ]


async def test_outcomes_are_acknowledged(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """Once the orchestrator is closed, nothing of the execution is left in the outbox."""
    result = await with_worker(server_address, namespace, far("timeout = 1m"), lambda: _complete_next(worker))
    source = pb.OutcomeSource(namespace=namespace, worker_topic="far", reply_group=result.execution_id)
    async with grpc.aio.insecure_channel(server_address) as channel:
        watch = WorkItemServiceStub(channel).WatchOutcomes(timeout=10)
        await watch.write(pb.WatchOutcomesRequest(add=pb.OutcomeSources(sources=[source])))
        first = await anext(aiter(watch))
        watch.cancel()
    assert list(first.caught_up) == [source]
    assert list(first.outcomes) == []


def _complete_next(worker: UnaryWorker, output: Any = None) -> None:
    worker.complete(worker.claim(), output)


async def test_a_worker_failure_is_retried_on_the_item(
    server_address: str, namespace: str, new_worker: NewWorker
) -> None:
    """One item, two attempts; another worker may make the second."""

    def work() -> None:
        first, second = new_worker("w-1"), new_worker("w-2")
        first.fail(first.claim())
        _complete_next(second, {"ok": True})

    graph = far("timeout = 1m retry = { attempts: 3, backoff: 1ms }")
    node = (await with_worker(server_address, namespace, graph, work)).nodes["far"]
    assert (node.status, node.output, node.attempts) == (NodeStatus.COMPLETED, {"ok": True}, 2)
    assert (node.workers, len(node.item_ids)) == (("w-2",), 1)


async def test_a_business_error_resumes_at_once(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """No retry, though the budget allows some; code and details reach the result."""
    graph = far("timeout = 1m retry = { attempts: 3, backoff: 1ms }")

    def work() -> None:
        worker.business_error(worker.claim(), "CARD_DECLINED", {"left": 3})

    result = await with_worker(server_address, namespace, graph, work)
    assert result.status is ExecutionStatus.FAILED
    assert result.nodes["far"].error == NodeError("CARD_DECLINED", business=True, details={"left": 3})


async def test_the_fallback_follows_the_suspend_deadline(server_address: str, namespace: str) -> None:
    """No worker comes: each try has its own deadline, then the fallback is the output."""
    graph = far("timeout = 300ms retry = { attempts: 1, backoff: 1ms } fallback = { spare: true }")
    result = await with_worker(server_address, namespace, graph, lambda: None)
    node = result.nodes["far"]
    assert (result.status, node.status) == (ExecutionStatus.COMPLETED, NodeStatus.FELL_BACK)
    assert (result.outputs, node.attempts, len(node.item_ids)) == ({"far": {"spare": True}}, 2, 2)
    assert node.error is not None
    assert "no outcome within 300ms" in node.error.message


async def test_a_dead_letter_may_resume_the_node_with_its_failure(
    server_address: str, namespace: str, worker: UnaryWorker
) -> None:
    """If the graph says so; the error is the worker's."""
    graph = far("timeout = 1m on_dead_letter = resume_with_failure")

    def work() -> None:
        worker.fail(worker.claim(), "OSError", message="disk full")

    node = (await with_worker(server_address, namespace, graph, work)).nodes["far"]
    assert (node.status, node.error) == (NodeStatus.FAILED, NodeError("OSError", "disk full"))


async def test_independent_remote_nodes_wait_together(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """Both items are there before either is done."""

    def work() -> None:
        leases = [worker.claim(), worker.claim()]
        for lease in leases:
            worker.complete(lease, lease.spec.node_id)

    members = FAR.format("timeout = 1m") + FAR.replace("node far", "node fur").format("timeout = 1m")
    result = await with_worker(server_address, namespace, compiled(members), work)
    assert result.outputs == {"far": "far", "fur": "fur"}


async def test_many_executions_share_one_orchestrator(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """Each one gets its own outcomes."""
    count = 20

    def work() -> None:
        for _ in range(count):
            lease = worker.claim()
            worker.complete(lease, json.loads(lease.spec.payload)["input"]["x"])

    graph = far("timeout = 1m")
    async with Orchestrator(server_address, namespace=namespace) as orchestrator, asyncio.TaskGroup() as group:
        runs = [group.create_task(orchestrator.run(graph, {"x": number})) for number in range(count)]
        group.create_task(asyncio.to_thread(work))
    assert [run.result().outputs["far"] for run in runs] == list(range(count))


async def test_cancelling_an_execution_stops_its_workers(
    server_address: str, namespace: str, worker: UnaryWorker
) -> None:
    """The result says so, and the worker hears it at its next report."""
    graph = far("timeout = 1m fallback = { spare: true }")
    async with (
        Orchestrator(server_address, namespace=namespace) as orchestrator,
        orchestrator.running(graph, {"x": 1}) as handle,
    ):
        lease = await asyncio.to_thread(worker.claim)
        await handle.cancel("no longer needed")
        result = await handle.result()
        assert (await handle.status()).status is ExecutionStatus.CANCELLED
        await handle.cancel("still no longer needed")
    assert (result.status, result.nodes["far"].status) == (ExecutionStatus.CANCELLED, NodeStatus.FAILED)
    assert "no longer needed" in str(result.nodes["far"].error)
    assert worker.complete(lease, 1).reason == ERROR_REASON_CANCELLED


async def test_an_abandoned_run_goes_on_elsewhere(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """A caller that is cancelled hands the execution on, at once, with the item that its node waits for."""
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        running = asyncio.create_task(orchestrator.run(far("timeout = 1m"), {"x": 1}, business_key="k"))
        lease = await asyncio.to_thread(worker.claim)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not worker.complete(lease, 7).reason
        result = await orchestrator.run(far("timeout = 1m"), {"x": 1}, business_key="k")
    assert result.outputs == {"far": 7}


async def test_a_business_key_is_one_execution(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """Who starts it again waits for the same one, and gets the same result, whatever the graph is by then."""
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        first = asyncio.create_task(orchestrator.run(far("timeout = 1m"), {"x": 1}, business_key="k"))
        lease = await asyncio.to_thread(worker.claim)
        edited = far("timeout = 2m", "transform other { z = far.output }")
        second = asyncio.create_task(orchestrator.run(edited, {"x": 2}, business_key="k"))
        await asyncio.to_thread(worker.complete, lease, 1)
        result = await first
        assert await second == result
        assert await orchestrator.run(edited, {"x": 3}, business_key="k") == result
    assert result.outputs == {"far": 1}


async def test_an_item_that_is_too_large_fails_its_node_only(
    server_address: str, namespace: str, worker: UnaryWorker
) -> None:
    """The other items of the same request are enqueued all the same."""
    big = FAR.replace("node far", "node big").replace("ctx.x", "[ctx.big, ctx.big]")
    graph = compiled((FAR + big).format("timeout = 1m", "timeout = 1m"))
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        given = {"x": 1, "big": "x" * 600_000}
        running = asyncio.create_task(orchestrator.run(graph, given))
        await asyncio.gather(asyncio.to_thread(_complete_next, worker, 1), running)
    nodes = running.result().nodes
    assert nodes["far"].status is NodeStatus.COMPLETED
    assert nodes["big"].error is not None
    assert nodes["big"].error.type == "TOO_LARGE"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"worker_topic": "a/b"}, "worker_topic: 'a/b' is not a name"),
        ({"business_key": "b" * 257}, "business_key: has 257 characters"),
        ({"input": {"x": object()}}, "input: is not plain JSON"),
        ({"input": [1]}, "input: must be an object"),
    ],
)
async def test_an_execution_that_cannot_begin(server_address: str, options: dict[str, Any], told: str) -> None:
    """The message names the argument."""
    async with Orchestrator(server_address) as orchestrator:
        with pytest.raises(InvalidExecutionError, match=told):
            await orchestrator.run(far("timeout = 1m"), **options)


async def test_an_unreachable_control_plane_is_told_at_the_start(tmp_path: Path) -> None:
    """With address, cause and fix."""
    async with Orchestrator(f"unix:{tmp_path}/nobody.sock") as orchestrator:
        for call in (orchestrator.run, orchestrator.start):
            with pytest.raises(ControlPlaneUnreachableError, match=r"nobody\.sock cannot be reached: .*bloge-server"):
                await call(far("timeout = 1m"), {"x": 1})


async def test_what_answers_must_be_a_server(tmp_path: Path) -> None:
    """Some other gRPC service at the address is told from none."""
    stranger = grpc.aio.server()
    stranger.add_insecure_port(f"unix:{tmp_path}/stranger.sock")
    await stranger.start()
    async with Orchestrator(f"unix:{tmp_path}/stranger.sock") as orchestrator:
        with pytest.raises(ControlPlaneUnreachableError, match="no bloge-server"):
            await orchestrator.run(far("timeout = 1m"), {"x": 1})
    await stranger.stop(0)


async def test_a_run_needs_an_open_orchestrator() -> None:
    """Forgetting the `async with` is told."""
    with pytest.raises(InvalidExecutionError, match="async with"):
        await Orchestrator().run(far("timeout = 1m"), {"x": 1})


class _Told(logging.Handler):
    """Notices a warning."""

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self.heard = asyncio.Event()
        self._beginning = beginning

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(self._beginning):
            self.heard.set()


async def test_executions_survive_a_restart_of_the_server(tmp_path: Path) -> None:
    """Outcomes are watched again, and an append waits until the server is back."""
    address = f"unix:{tmp_path}/server.sock"
    flags = ("--listen", address, "--data-dir", str(tmp_path / "data"), "--drain-seconds", "0")
    servers = [ServerProcess(*flags)]
    servers[0].serving()
    down, watched = _Told("events of execution"), _Told("outcomes cannot be watched")
    release = asyncio.Event()
    operators = OperatorRegistry()

    @operators.operator("Hold")
    async def hold(_: Any) -> int:
        await release.wait()
        return 2

    builder = GraphBuilder("g")
    remote: dict[str, Any] = {"execution_mode": "remote", "worker_topic": "far", "timeout": "1m"}
    builder.node("before", "Far", **remote)
    builder.node("hold", "Hold", timeout="1m")
    builder.node("after", "Far", depends_on=["hold"], **remote)
    log = logging.getLogger("bloge_orchestrator")
    for handler in (down, watched):
        log.addHandler(handler)
    try:
        with unary_worker(address, "default", "far") as worker:
            async with Orchestrator(address) as orchestrator:
                running = asyncio.create_task(orchestrator.run(builder.compile(operators)))
                lease = await asyncio.to_thread(worker.claim)
                await asyncio.to_thread(servers[0].stop)
                await watched.heard.wait()
                release.set()
                await down.heard.wait()
                servers.append(ServerProcess(*flags))
                await asyncio.to_thread(servers[1].serving)
                await asyncio.to_thread(worker.complete, lease, 1)
                await asyncio.to_thread(_complete_next, worker, 3)
                result = await running
    finally:
        for handler in (down, watched):
            log.removeHandler(handler)
        for server in servers:
            server.stop()
    assert result.outputs == {"before": 1, "after": 3}


async def test_the_suspension_names_the_item_that_is_enqueued(
    server_address: str, namespace: str, worker: UnaryWorker
) -> None:
    """Byte for byte but for the trace: what a recovery would enqueue again is what the worker got."""
    suspended: list[NodeSuspended] = []

    def on_event(event: Event) -> None:
        if isinstance(event, NodeSuspended):
            suspended.append(event)

    specs: list[bytes] = []

    def work() -> None:
        lease = worker.claim()
        lease.spec.ClearField("trace_context")  # there is one where traces are recorded; it is no part of the content
        specs.append(lease.spec.SerializeToString())
        worker.complete(lease, 1)

    await with_worker(server_address, namespace, far("timeout = 1m"), work, on_event=on_event)
    assert specs == [suspended[0].work_item]
