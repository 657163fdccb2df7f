"""Executions whose orchestrators and workers are real processes, which die, stand still and come back."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import error_reason_pb2
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import (
    CompiledGraph,
    ExecutionStatus,
    NodeStatus,
    OperatorRegistry,
    Orchestrator,
    compile_file,
    compile_source,
)
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.execution.events import NodeCompleted, NodeSuspended
from bloge_orchestrator.handle import ExecutionHandle
from bloge_orchestrator.outcome_watch import ItemRef
from support.orchestrator_process import OrchestratorProcess
from support.talking_process import TalkingProcess
from support.unary_worker import UnaryWorker, unary_worker
from support.waiting import until, until_true
from support.worker_process import WorkerProcess

OPERATORS = "e2e.local_operators:registry"
REMOTE = 'execution_mode = remote worker_topic = "topic" timeout = 5m'

PATIENCE = timedelta(seconds=30)

PAGE = """
graph page {
  input { batch: String }
  node prepareBatch : PrepareBatch { input { batch = ctx.batch } timeout = 10s }
  node gpuInference : InferenceOperator {
    depends_on = [prepareBatch]
    execution_mode = remote
    worker_topic = "gpu-inference"
    timeout = 5m
    retry = { attempts: 3, backoff: 500ms, strategy: exponential }
  }
}
"""
"""The example that the project started from."""


def graph_of(text: str) -> CompiledGraph:
    """Compile a graph whose local operators are those of the orchestrator processes."""
    operators = OperatorRegistry()
    for name in ("PrepareBatch", "Note"):
        operators.register(name, lambda _: None)
    return compile_source(text, filename="g.bloge", registry=operators)


class Orchestrators:
    """Starts orchestrator processes; they end with the test."""

    def __init__(self, address: str, namespace: str, stack: ExitStack) -> None:
        self._where = (address, namespace)
        self._stack = stack

    async def start(self, **options: Any) -> OrchestratorProcess:
        """Start one."""
        process = await asyncio.to_thread(OrchestratorProcess, *self._where, OPERATORS, **options)
        return self._stack.enter_context(process)


@pytest.fixture
def orchestrators(server_address: str, namespace: str) -> Iterator[Orchestrators]:
    """Starter of orchestrator processes."""
    with ExitStack() as stack:
        yield Orchestrators(server_address, namespace, stack)


@pytest.fixture
async def client(server_address: str, namespace: str) -> AsyncIterator[Orchestrator]:
    """Starts executions; owns none."""
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        yield orchestrator


@pytest.fixture
async def control_plane(server_address: str) -> AsyncIterator[ControlPlane]:
    """Reads work items, and acts on dead letters."""
    async with ControlPlane(server_address) as control_plane:
        yield control_plane


@pytest.fixture
def worker(server_address: str, namespace: str) -> Iterator[UnaryWorker]:
    """A worker that does what the test says."""
    with unary_worker(server_address, namespace, "topic") as worker:
        yield worker


async def first_suspension(handle: ExecutionHandle) -> NodeSuspended:
    """Wait until a node waits for a worker."""
    async for event in handle.events():
        if isinstance(event, NodeSuspended):
            return event
    raise AssertionError("no node was suspended")


def ref(handle: ExecutionHandle, suspension: NodeSuspended) -> ItemRef:
    """Return the name of the item that a node waits for."""
    return ItemRef(handle.namespace, suspension.worker_topic, suspension.item_id)


async def first_item(handle: ExecutionHandle, control_plane: ControlPlane) -> ItemRef:
    """Wait until a node's item is there; it is recorded before it is enqueued."""
    item = ref(handle, await first_suspension(handle))

    async def is_there() -> bool:
        try:
            await control_plane.get(item)
        except RemoteWorkersError as error:
            assert error.reason is Reason.NOT_FOUND  # noqa: PT017 - any other reason is a defect
            return False
        return True

    await until_true(is_there, "it is enqueued")
    return item


async def test_the_example_of_the_first_page(
    server_address: str, namespace: str, client: Orchestrator, orchestrators: Orchestrators, tmp_path: Path
) -> None:
    """Start it with one command, own it with another, work with a third: the failed attempt costs a retry, no more."""
    path = tmp_path / "page.bloge"
    path.write_text(PAGE, encoding="utf-8")
    await orchestrators.start()
    where = ["--address", server_address, "--namespace", namespace]
    start = [sys.executable, "-m", "bloge_orchestrator", "start", str(path), "--input", '{"batch":"b7"}', *where]
    started = await asyncio.to_thread(subprocess.run, start, capture_output=True, text=True, timeout=60, check=True)
    with TalkingProcess("w1", [sys.executable, "-m", "bloge_worker", "e2e.inference:worker", *where]):
        handle = client.execution(started.stdout.strip())
        result = await handle.result()
    node = result.nodes["gpuInference"]
    assert (result.status, node.output, node.attempts) == (ExecutionStatus.COMPLETED, {"attempt": 2}, 2)
    assert result.nodes["prepareBatch"].output == ["b7-0", "b7-1", "b7-2"]
    envelope = json.loads(pb.WorkItemSpec.FromString((await first_suspension(handle)).work_item).payload)
    assert (envelope["operatorRef"], envelope["workerTopic"]) == ("InferenceOperator", "gpu-inference")
    assert envelope["executionContext"]["executionId"] == handle.execution_id


async def test_the_deadline_passes_while_nobody_owns_the_execution(
    client: Orchestrator, orchestrators: Orchestrators, control_plane: ControlPlane
) -> None:
    """Its orchestrator is dead; the next one learns of it and takes the fallback."""
    settings = 'execution_mode = remote worker_topic = "nobody" timeout = 1s fallback = { spare: true }'
    graph = graph_of(f"graph g {{ node far : X {{ {settings} }} }}")
    first = await orchestrators.start()
    handle = await client.start(graph)
    item = await first_item(handle, control_plane)
    first.kill()
    assert await control_plane.await_outcome(item, PATIENCE) is not None
    assert (await handle.status()).status is ExecutionStatus.RUNNING
    await orchestrators.start()
    result = await handle.result()
    assert (result.status, result.nodes["far"].status) == (ExecutionStatus.COMPLETED, NodeStatus.FELL_BACK)
    assert result.outputs == {"far": {"spare": True}}


async def test_a_replayed_dead_letter_resumes_an_execution_that_changed_hands(
    client: Orchestrator, orchestrators: Orchestrators, control_plane: ControlPlane, worker: UnaryWorker, tmp_path: Path
) -> None:
    """The node waits for what people do; then the branch goes where the worker says."""
    graph = graph_of(
        f"""
        graph g {{
          node far : X {{ {REMOTE} }}
          branch on far.output.kind {{ "good" -> note  otherwise -> other }}
          node note : Note {{ input {{ path = ctx.path, text = far.output.kind }} timeout = 10s }}
          node other : Note {{ input {{ path = ctx.path, text = "other" }} timeout = 10s }}
        }}
        """
    )
    first = await orchestrators.start()
    handle = await client.start(graph, {"path": str(tmp_path / "notes")})
    worker.fail(await asyncio.to_thread(worker.claim), "OSError")
    first.kill()
    await orchestrators.start()
    await until_true(lambda: _is_owned_by_another(handle, ""), "it is taken over")
    only = ops.DeadLetterFilter(execution_id=handle.execution_id)
    request = ops.ReplayDeadLettersRequest(namespace=handle.namespace, worker_topic="topic", filter=only)
    assert (await control_plane.replay_dead_letters(request)).replayed_count == 1
    worker.complete(await asyncio.to_thread(worker.claim), {"kind": "good"})
    result = await handle.result()
    assert (result.status, result.outputs) == (ExecutionStatus.COMPLETED, {"note": "good"})
    assert result.nodes["other"].status is NodeStatus.SKIPPED


async def _is_owned_by_another(handle: ExecutionHandle, owner: str) -> bool:
    return (await handle.status()).owner not in ("", owner)


async def test_an_orchestrator_that_stood_still_is_fenced_off(
    client: Orchestrator, orchestrators: Orchestrators, worker: UnaryWorker, tmp_path: Path
) -> None:
    """What it owned has ended elsewhere; it drops it, runs none of its operators, and goes on with other executions."""
    notes = tmp_path / "notes"
    graph = graph_of(
        f"""
        graph g {{
          node far : X {{ {REMOTE} }}
          node note : Note {{ input {{ path = ctx.path, text = far.output }} timeout = 10s }}
        }}
        """
    )
    first = await orchestrators.start()
    handle = await client.start(graph, {"path": str(notes)})
    lease = await asyncio.to_thread(worker.claim)
    owner = (await handle.status()).owner
    first.freeze()
    second = await orchestrators.start()
    await until_true(lambda: _is_owned_by_another(handle, owner), "it is taken over")
    worker.complete(lease, "once")
    result = await handle.result()
    second.kill()
    first.thaw()
    await asyncio.to_thread(first.wait_for_log, f"{handle.execution_id}] stopping the handler: LEASE_EXPIRED")
    again = await client.start(graph, {"path": str(notes)})
    worker.complete(await asyncio.to_thread(worker.claim), "twice")
    assert (await again.result()).outputs == {"note": "twice"}
    assert (result.outputs, notes.read_text(encoding="utf-8")) == ({"note": "once"}, "once\ntwice\n")


async def test_a_run_that_was_killed_goes_on_with_the_next(
    server_address: str, namespace: str, client: Orchestrator, worker: UnaryWorker, tmp_path: Path
) -> None:
    """The same command with the same key: it waits for the lease to run out, and shows the end."""
    path = tmp_path / "g.bloge"
    path.write_text(f"graph g {{ node far : X {{ {REMOTE} }} }}", encoding="utf-8")
    where = ["--address", server_address, "--namespace", namespace]
    command = [
        sys.executable,
        "-m",
        "bloge_orchestrator",
        "run",
        str(path),
        "--key",
        "k",
        "--lease-seconds",
        "1",
        *where,
    ]
    with TalkingProcess("the first run", command) as first:
        lease = await asyncio.to_thread(worker.claim, 30)
        first.kill()
    with TalkingProcess("the next run", [*command, "--json"]) as second:
        worker.complete(lease, 7)
        await asyncio.to_thread(second.process.wait, PATIENCE.total_seconds() * 2)
        result = json.loads("".join(second.said))
    assert (result["status"], result["outputs"]) == ("COMPLETED", {"far": 7})
    assert [info.execution_id async for info in client.executions()] == [result["executionId"]]


async def test_a_cancellation_is_carried_out_by_the_next_owner(
    client: Orchestrator, orchestrators: Orchestrators, control_plane: ControlPlane, worker: UnaryWorker
) -> None:
    """The one that was asked stood still, and died; what a worker has begun counts no more."""
    graph = graph_of(f"graph g {{ node far : X {{ {REMOTE} fallback = {{ spare: true }} }} }}")
    first = await orchestrators.start()
    handle = await client.start(graph)
    lease = await asyncio.to_thread(worker.claim)
    first.freeze()
    await handle.cancel("enough")
    first.kill()
    await orchestrators.start()
    result = await handle.result()
    assert (result.status, result.nodes["far"].status) == (ExecutionStatus.CANCELLED, NodeStatus.FAILED)
    assert worker.complete(lease, 1).reason == error_reason_pb2.ERROR_REASON_CANCELLED
    item = await control_plane.get(ItemRef(handle.namespace, "topic", lease.spec.item_id))
    assert item.outcome.kind == pb.OUTCOME_KIND_CANCELLED


async def test_a_subgraph_around_a_remote_node_goes_on_with_the_next_owner(
    client: Orchestrator, orchestrators: Orchestrators, worker: UnaryWorker, tmp_path: Path
) -> None:
    """What was done inside is not done again."""
    notes, operators = tmp_path / "notes", OperatorRegistry()
    operators.register("Note", lambda _: None)
    note = "node {} : Note {{ input {{ path = ctx.path, text = {} }} timeout = 10s }}"
    far = f"node far : X {{ input {{ text = before.output }} {REMOTE} }}"
    inside = " ".join([note.format("before", '"before"'), far, note.format("after", "far.output")])
    (tmp_path / "inside.bloge").write_text(f"graph inside {{ {inside} }}", encoding="utf-8")
    around = tmp_path / "around.bloge"
    price = "node price : inside { input { path = ctx.path } timeout = 5m }"
    around.write_text(f'import "./inside" as inside\ngraph around {{ {price} }}', encoding="utf-8")
    first = await orchestrators.start()
    handle = await client.start(compile_file(around, registry=operators), {"path": str(notes)})
    lease = await asyncio.to_thread(worker.claim)
    first.kill()
    await orchestrators.start()
    worker.complete(lease, "far")
    result = await handle.result()
    assert result.outputs == {"price": {"after": "far"}}
    assert notes.read_text(encoding="utf-8") == "before\nfar\n"


async def test_orchestrators_share_the_executions(
    client: Orchestrator, orchestrators: Orchestrators, control_plane: ControlPlane, worker: UnaryWorker
) -> None:
    """Each takes what it has room for; when one dies, the other does its share too."""
    graph, count, room = graph_of(f"graph g {{ node far : X {{ {REMOTE} }} }}"), 20, 10
    first, _ = [await orchestrators.start(concurrency=room) for _ in range(2)]
    handles = [await client.start(graph, {"number": number}) for number in range(count)]
    namespace = client.namespace

    async def all_wait() -> bool:
        return (await control_plane.operations.topic(namespace, "topic")).ready_count == count

    await until_true(all_wait, "every node waits")
    owners = Counter([(await handle.status()).owner for handle in handles])
    assert sorted(owners.values()) == [room, room]
    first.kill()
    for _ in range(count):
        worker.complete(await asyncio.to_thread(worker.claim), 1)
    results = await asyncio.gather(*(handle.result() for handle in handles))
    assert {result.status for result in results} == {ExecutionStatus.COMPLETED}


async def test_thousands_of_items_while_workers_and_an_orchestrator_die(
    server_address: str, namespace: str, client: Orchestrator, orchestrators: Orchestrators
) -> None:
    """Each item has its output, in order, and is completed once."""
    count = 5_000 if os.environ.get("LONG") else 1_500
    graph = graph_of(
        f"""
        graph g {{
          foreach each : item in ctx.items {{
            max_concurrency = 1000
            node far : echo {{ {REMOTE} }}
          }}
        }}
        """
    )
    first = await orchestrators.start()
    with ExitStack() as stack:

        def hire(number: int) -> WorkerProcess:
            worker = WorkerProcess(server_address, namespace, f"w{number}", slots=50, lease=1)
            return stack.enter_context(worker)

        crew = [hire(number) for number in range(3)]
        handle = await client.start(graph, {"items": list(range(count))})
        for number in range(3):
            await asyncio.to_thread(until, lambda: len(crew[0].said) > count // 12, "a worker is at work")
            crew.pop(0).kill()
            crew.append(hire(3 + number))
        first.kill()
        await orchestrators.start()
        result = await handle.result()
    completed = Counter([event.node_id async for event in handle.events() if isinstance(event, NodeCompleted)])
    assert result.status is ExecutionStatus.COMPLETED
    assert len(result.nodes["each"].output) == count
    assert set(completed.values()) == {1}
    assert len(completed) == count + 1
