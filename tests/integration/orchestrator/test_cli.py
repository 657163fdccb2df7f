"""The `bloge` command on a real server."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1.error_reason_pb2 import ERROR_REASON_CANCELLED, ERROR_REASON_SUPERSEDED
from bloge_orchestrator import ExecutionResult, NodeStatus, Orchestrator
from bloge_orchestrator.control_plane import ControlPlane
from support.executions import compiled
from support.unary_worker import UnaryWorker

Bloge = Callable[..., Result]
NewWorker = Callable[..., UnaryWorker]

GRAPH = 'graph g { node far : Far { execution_mode = remote worker_topic = "far" timeout = 1m } }'
ITEM = "e-1.far.1"


@pytest.fixture
def graph_file(tmp_path: Path) -> str:
    """A file with a graph of one remote node."""
    path = tmp_path / "g.bloge"
    path.write_text(GRAPH)
    return str(path)


def test_run_on_workers(bloge: Bloge, worker: UnaryWorker, graph_file: str) -> None:
    """Ends with 0; the lines tell which worker did it."""
    with ThreadPoolExecutor() as pool:
        pool.submit(lambda: worker.complete(worker.claim(), {"y": 1}))
        result = bloge("run", graph_file)
    assert result.exit_code == 0
    assert "far resumed: COMPLETED by w-1, retries 0" in result.stdout
    assert '"y": 1' in result.stdout


def test_an_interrupt_cancels_the_execution(
    server_address: str, namespace: str, worker: UnaryWorker, graph_file: str
) -> None:
    """The first Ctrl-C withdraws the work; the command ends with 130."""
    command = [sys.executable, "-m", "bloge_orchestrator", "run", graph_file]
    command += ["--address", server_address, "--namespace", namespace]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lease = worker.claim()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "cancelled: SIGINT received" in output
    assert "Traceback" not in errors
    assert worker.complete(lease, 1).reason == ERROR_REASON_CANCELLED


def test_an_interrupt_before_anything_began(tmp_path: Path, graph_file: str) -> None:
    """While it still waits for a server that accepts connections and says nothing."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        command = [sys.executable, "-m", "bloge_orchestrator", "run", graph_file]
        command += ["--address", f"unix:{tmp_path}/silent.sock"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            with silent.accept()[0]:
                process.send_signal(signal.SIGINT)
                output, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, output) == (130, "")
    assert "Traceback" not in errors


async def in_thread(bloge: Bloge, *arguments: str) -> Result:
    """Run the command while this loop runs an execution."""
    return await asyncio.to_thread(bloge, "dead-letters", *arguments)


async def with_dead_letter(
    server_address: str,
    namespace: str,
    worker: UnaryWorker,
    act: Callable[[], Coroutine[Any, Any, None]],
    settings: str = "",
) -> ExecutionResult:
    """Run a graph whose only item becomes a dead letter, and act on it."""
    graph = compiled(f'node far : Far {{ execution_mode = remote worker_topic = "far" timeout = 1m {settings} }}')
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        running = asyncio.create_task(orchestrator.run(graph, execution_id="e-1"))
        lease = await asyncio.to_thread(worker.claim)
        await asyncio.to_thread(worker.fail, lease, "OSError", message="disk \x1b[31mfull", traceback="line 1\nline 2")
        await act()
        return await running


async def test_a_dead_letter_is_seen_and_replayed_and_the_graph_finishes(
    server_address: str, namespace: str, worker: UnaryWorker, bloge: Bloge
) -> None:
    """The node stays suspended all the while."""

    async def act() -> None:
        listed = await in_thread(bloge, "list")
        assert listed.stdout.split("\t")[:6] == [ITEM, "far", "far", "Far", "BUDGET_SPENT", "1"]
        dry = await in_thread(bloge, "replay", "--operator", "Far", "--dry-run")
        assert dry.stdout == "1 dead letter would be replayed\n"
        done = await in_thread(bloge, "replay", ITEM, "--reason", "disk is back", "--actor", "ops")
        assert (done.exit_code, done.stdout) == (0, "1 dead letter replayed\n")
        lease = await asyncio.to_thread(worker.claim)
        await asyncio.to_thread(worker.complete, lease, {"ok": True})

    result = await with_dead_letter(server_address, namespace, worker, act)
    assert result.outputs == {"far": {"ok": True}}


async def test_show_tells_the_whole_history(
    server_address: str, namespace: str, worker: UnaryWorker, bloge: Bloge
) -> None:
    """Attempts with worker, times, error and traceback; nothing in it can steer the terminal."""
    shown: list[Result] = []

    async def act() -> None:
        shown.append(await in_thread(bloge, "show", ITEM))
        shown.append(await in_thread(bloge, "show", ITEM, "--json"))
        shown.append(await in_thread(bloge, "list", "--json", "--topic", "far", "--error-type", "OSError"))
        shown.append(await in_thread(bloge, "list", "--execution", "another"))
        await in_thread(bloge, "discard", ITEM)

    await with_dead_letter(server_address, namespace, worker, act)
    text, document, listed, none = shown
    assert "attempt 1 by w-1, 2" in text.stdout
    assert "  OSError: disk \N{REPLACEMENT CHARACTER}[31mfull\n    line 1\n    line 2\n" in text.stdout
    assert "\x1b" not in text.stdout
    assert '"operatorRef":"Far"' in text.stdout
    assert json.loads(document.stdout)["attempts"][0]["failure"]["type"] == "OSError"
    assert [item["item"]["itemId"] for item in json.loads(listed.stdout)] == [ITEM]
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no dead letters\n")


async def test_a_discarded_dead_letter_resumes_the_node_with_a_failure(
    server_address: str, namespace: str, worker: UnaryWorker, bloge: Bloge
) -> None:
    """So that its fallback applies."""

    async def act() -> None:
        done = await in_thread(bloge, "discard", "--execution", "e-1", "--json")
        assert json.loads(done.stdout) == {"discarded": 1, "refused": 0, "refusals": [], "dryRun": False}

    result = await with_dead_letter(server_address, namespace, worker, act, "fallback = { spare: true }")
    node = result.nodes["far"]
    assert (node.status, node.output) == (NodeStatus.FELL_BACK, {"spare": True})
    assert node.error is not None
    assert node.error.type == "DISCARDED"


async def test_a_replay_may_bring_a_new_payload(
    server_address: str, namespace: str, worker: UnaryWorker, bloge: Bloge, tmp_path: Path
) -> None:
    """For an input that no worker can take."""
    payload = tmp_path / "payload.json"
    payload.write_text('{"input":{"mended":true}}')

    async def act() -> None:
        await in_thread(bloge, "replay", ITEM, "--payload", f"@{payload}", "--rate", "10", "--max", "1")
        lease = await asyncio.to_thread(worker.claim)
        await asyncio.to_thread(worker.complete, lease, json.loads(lease.spec.payload))

    result = await with_dead_letter(server_address, namespace, worker, act)
    assert result.outputs["far"] == {"input": {"mended": True}}


async def test_what_is_no_dead_letter_is_told(server_address: str, namespace: str, bloge: Bloge) -> None:
    """Nothing happens, and the command ends with 1."""
    async with ControlPlane(server_address) as control_plane:
        await control_plane.enqueue(namespace, [pb.WorkItemSpec(item_id="i-1", worker_topic="far")])
    for command, told in (
        (("replay", "i-1"), "1 of the items named are no dead letters"),
        (("discard", "i-1", "--topic", "far"), "work item 'i-1' is READY"),
    ):
        result = await in_thread(bloge, *command)
        assert result.exit_code == 1
        assert told in result.stderr
    for command in (("show", "i-1"), ("adopt", "i-1")):
        result = await in_thread(bloge, *command)
        assert result.exit_code == 1
        assert "i-1 is no dead letter in namespace" in result.stderr
    assert (await in_thread(bloge, "show", "i-1", "--topic", "far")).exit_code == 0
    result = await in_thread(bloge, "adopt", "i-1", "--topic", "far")
    assert "keeps no late output" in result.stderr
    result = await in_thread(bloge, "show", "i-2", "--topic", "far")
    assert (result.exit_code, "NOT_FOUND" in result.stderr) == (1, True)


async def test_a_settled_dead_letter_is_not_replayed(
    server_address: str, namespace: str, worker: UnaryWorker, bloge: Bloge
) -> None:
    """Its node no longer waits: the refusal says so, and the command ends with 1."""

    async def act() -> None:
        pass

    await with_dead_letter(server_address, namespace, worker, act, "on_dead_letter = resume_with_failure")
    result = await in_thread(bloge, "replay", ITEM)
    assert result.exit_code == 1
    assert result.stdout == "0 dead letters replayed, 1 refused\n"
    assert "with outcome FAILED" in result.stderr


async def test_a_late_output_is_adopted(
    server_address: str, namespace: str, new_worker: NewWorker, bloge: Bloge
) -> None:
    """A worker was too slow, the next one failed: the work is there all the same."""
    slow, next_one = new_worker("slow"), new_worker("next")
    graph = compiled('node far : Far { execution_mode = remote worker_topic = "far" timeout = 1m }')

    def lose() -> None:
        late = slow.claim(lease_seconds=1)
        lease = next_one.claim()
        assert slow.complete(late, {"late": True}).reason == ERROR_REASON_SUPERSEDED
        next_one.fail(lease, non_retryable=True)

    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        running = asyncio.create_task(orchestrator.run(graph, execution_id="e-1"))
        await asyncio.to_thread(lose)
        assert "late output of fence" in (await in_thread(bloge, "show", ITEM)).stdout
        adopted = await in_thread(bloge, "adopt", ITEM)
        result = await running
    assert (adopted.exit_code, adopted.stdout[:8]) == (0, "adopted:")
    assert result.outputs == {"far": {"late": True}}
