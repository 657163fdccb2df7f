"""The `bloge` command on a real server."""

import asyncio
import json
import re
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


@pytest.fixture
def graph_file(tmp_path: Path) -> str:
    """A file with a graph of one remote node."""
    path = tmp_path / "g.bloge"
    path.write_text(GRAPH)
    return str(path)


OPERATORS = """from bloge_orchestrator import OperatorRegistry

registry = OperatorRegistry()


@registry.operator("Double")
def double(node_input):
    return node_input["x"] * 2
"""


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with a graph of one local node and a transform, with its operators in module `doubling`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "doubling", raising=False)
    (tmp_path / "doubling.py").write_text(OPERATORS)
    path = tmp_path / "local.bloge"
    path.write_text(
        "graph g {\n  node a : Double { input { x = ctx.x } timeout = 1s }\n  transform t { y = a.output + 1 }\n}\n"
    )
    return str(path)


def test_run_on_workers(bloge: Bloge, worker: UnaryWorker, graph_file: str) -> None:
    """Ends with 0; the lines tell which worker did it."""
    with ThreadPoolExecutor() as pool:
        pool.submit(lambda: worker.complete(worker.claim(), {"y": 1}))
        result = bloge("run", graph_file)
    assert result.exit_code == 0
    assert "far resumed: COMPLETED by w-1, retries 0" in result.stdout
    assert '"y": 1' in result.stdout


def test_lines_in_a_pipe(bloge: Bloge, local: str) -> None:
    """A line an event, the outputs, the status."""
    result = bloge("run", local, "--operators", "doubling:registry", "--input", '{"x": 3}')
    assert (result.exit_code, result.stderr) == (0, "")
    events = re.findall(r"^ +\d+\.\d{3}s  (.*)$", result.stdout, re.MULTILINE)
    assert events[0].startswith("graph g started as execution ")
    assert events[1:] == ["a started, attempt 1", "a completed", "t completed", "execution COMPLETED"]
    assert 'outputs: {\n  "t": {\n    "y": 7\n  }\n}\n' in result.stdout
    assert result.stdout.splitlines()[-1].startswith("COMPLETED in ")


def test_json_is_all_that_is_printed(bloge: Bloge, local: str, tmp_path: Path) -> None:
    """For programs; the input comes from a file."""
    (tmp_path / "input.json").write_text('{"x": 4}')
    result = bloge("run", local, "--operators", "doubling", "--input", f"@{tmp_path}/input.json", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert document["outputs"] == {"t": {"y": 9}}
    assert document["nodes"]["a"]["status"] == "COMPLETED"


def test_a_failed_execution_ends_with_1(bloge: Bloge, local: str) -> None:
    """The node's error is shown, with the traceback of the operator for its author."""
    result = bloge("run", local, "--operators", "doubling", "--input", '{"x": null}')
    assert result.exit_code == 1
    assert "a failed: TypeError: " in result.stdout
    assert "t skipped: a failed" in result.stdout
    assert 'return node_input["x"] * 2' in result.stderr


def test_run_follows_imports(bloge: Bloge, tmp_path: Path) -> None:
    """They are looked up beside the file; the execution keeps what they said."""
    (tmp_path / "lib.bloge").write_text("graph lib { transform t { y = ctx.x * 2 } }")
    (tmp_path / "g.bloge").write_text('import "./lib" as lib graph g { node s : lib { input { x = ctx.x } } }')
    result = bloge("run", str(tmp_path / "g.bloge"), "--input", '{"x": 21}', "--json")
    assert json.loads(result.stdout)["outputs"] == {"s": {"t": {"y": 42}}}


def test_the_same_key_is_the_same_execution(bloge: Bloge, local: str) -> None:
    """Its journal tells what happened; nothing happens again."""
    command = ("run", local, "--operators", "doubling", "--key", "k", "--json")
    first = json.loads(bloge(*command, "--input", '{"x": 1}').stdout)
    assert json.loads(bloge(*command, "--input", '{"x": 2}').stdout) == first


def test_executions_are_started_listed_shown_and_cancelled(bloge: Bloge, graph_file: str) -> None:
    """Without anybody to run them."""
    started = bloge("start", graph_file, "--key", "k", "--input", '{"x": 1}', "--topic", "orders")
    execution_id = started.stdout.strip()
    assert json.loads(bloge("start", graph_file, "--key", "k", "--json").stdout) == {"executionId": execution_id}
    row = bloge("executions", "list").stdout.rstrip("\n").split("\t")
    assert (row[:3], row[5]) == ([execution_id, "g", "PENDING"], "k")
    (listed,) = json.loads(bloge("executions", "list", "--status", "pending", "--graph", "g", "--json").stdout)
    assert (listed["executionId"], listed["workerTopic"]) == (execution_id, "orders")
    assert json.loads(bloge("executions", "list", "--status", "RUNNING", "--json").stdout) == []
    shown = bloge("executions", "show", execution_id).stdout
    assert "status:    PENDING" in shown
    assert "far\tFar\tPENDING" in shown
    cancelled = bloge("executions", "cancel", execution_id, "--reason", "enough")
    assert cancelled.stdout == f"{execution_id}: its owner is told to cancel it\n"
    assert "detail:    being cancelled" in bloge("executions", "show", execution_id).stdout
    assert bloge("executions", "journal", execution_id).stdout == ""


def test_an_execution_that_has_ended_is_shown(bloge: Bloge, local: str) -> None:
    """With its nodes, its result, and its journal."""
    run = json.loads(bloge("run", local, "--operators", "doubling", "--input", '{"x": 3}', "--json").stdout)
    execution_id = run["executionId"]
    assert "a\tDouble\tCOMPLETED\t1" in bloge("executions", "show", execution_id).stdout
    assert json.loads(bloge("executions", "show", execution_id, "--json").stdout)["result"] == run
    lines = bloge("executions", "journal", execution_id, "--json").stdout.splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == [1, 2, 3, 4, 5]
    followed = bloge("executions", "journal", execution_id, "--follow")
    assert (followed.exit_code, followed.stdout.count("\n")) == (0, 5)
    refused = bloge("executions", "cancel", execution_id)
    assert (refused.exit_code, "has ended: COMPLETED" in refused.stderr) == (1, True)


def test_an_execution_that_nobody_knows(bloge: Bloge) -> None:
    """Ends with 1 and says so."""
    for command in ("show", "journal", "cancel"):
        result = bloge("executions", command, "nobody")
        assert (result.exit_code, "there is no execution 'nobody'" in result.stderr) == (1, True)


def test_orchestrate_runs_what_was_started(
    bloge: Bloge, local: str, server_address: str, namespace: str, tmp_path: Path
) -> None:
    """Until SIGTERM; it ends with 0."""
    execution_id = bloge("start", local, "--input", '{"x": 3}').stdout.strip()
    command = [sys.executable, "-m", "bloge_orchestrator", "orchestrate", "--operators", "doubling"]
    command += ["--address", server_address, "--namespace", namespace]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        followed = bloge("executions", "journal", execution_id, "--follow")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (followed.exit_code, process.returncode) == (0, 0)
    assert followed.stdout.splitlines()[-1].endswith("execution COMPLETED")
    assert "serves executions" in errors
    assert "Traceback" not in errors


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
    act: Callable[[str], Coroutine[Any, Any, None]],
    settings: str = "",
) -> ExecutionResult:
    """Run a graph whose only item becomes a dead letter, and act on it."""
    graph = compiled(f'node far : Far {{ execution_mode = remote worker_topic = "far" timeout = 1m {settings} }}')
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        running = asyncio.create_task(orchestrator.run(graph))
        lease = await asyncio.to_thread(worker.claim)
        await asyncio.to_thread(worker.fail, lease, "OSError", message="disk \x1b[31mfull", traceback="line 1\nline 2")
        await act(lease.spec.item_id)
        return await running


async def test_a_dead_letter_is_seen_and_replayed_and_the_graph_finishes(
    server_address: str, namespace: str, worker: UnaryWorker, bloge: Bloge
) -> None:
    """The node stays suspended all the while."""

    async def act(item_id: str) -> None:
        listed = await in_thread(bloge, "list")
        assert listed.stdout.split("\t")[:6] == [item_id, "far", "far", "Far", "BUDGET_SPENT", "1"]
        dry = await in_thread(bloge, "replay", "--operator", "Far", "--dry-run")
        assert dry.stdout == "1 dead letter would be replayed\n"
        done = await in_thread(bloge, "replay", item_id, "--reason", "disk is back", "--actor", "ops")
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

    async def act(item_id: str) -> None:
        shown.append(await in_thread(bloge, "show", item_id))
        shown.append(await in_thread(bloge, "show", item_id, "--json"))
        shown.append(await in_thread(bloge, "list", "--json", "--topic", "far", "--error-type", "OSError"))
        shown.append(await in_thread(bloge, "list", "--execution", "another"))
        await in_thread(bloge, "discard", item_id)

    result = await with_dead_letter(server_address, namespace, worker, act)
    text, document, listed, none = shown
    assert "attempt 1 by w-1, 2" in text.stdout
    assert "  OSError: disk \N{REPLACEMENT CHARACTER}[31mfull\n    line 1\n    line 2\n" in text.stdout
    assert "\x1b" not in text.stdout
    assert '"operatorRef":"Far"' in text.stdout
    assert json.loads(document.stdout)["attempts"][0]["failure"]["type"] == "OSError"
    assert [item["item"]["itemId"] for item in json.loads(listed.stdout)] == list(result.nodes["far"].item_ids)
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no dead letters\n")


async def test_a_discarded_dead_letter_resumes_the_node_with_a_failure(
    server_address: str, namespace: str, worker: UnaryWorker, bloge: Bloge
) -> None:
    """So that its fallback applies."""

    async def act(item_id: str) -> None:
        done = await in_thread(bloge, "discard", "--execution", item_id.partition(".")[0], "--json")
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

    async def act(item_id: str) -> None:
        await in_thread(bloge, "replay", item_id, "--payload", f"@{payload}", "--rate", "10", "--max", "1")
        lease = await asyncio.to_thread(worker.claim)
        await asyncio.to_thread(worker.complete, lease, json.loads(lease.spec.payload))

    result = await with_dead_letter(server_address, namespace, worker, act)
    assert result.outputs["far"] == {"input": {"mended": True}}


async def test_a_replay_may_patch_the_payloads_of_all_that_match(
    server_address: str, namespace: str, worker: UnaryWorker, bloge: Bloge
) -> None:
    """Of this one only what the patch names."""

    async def act(item_id: str) -> None:
        refused = await in_thread(bloge, "replay", item_id, "--payload", "{}", "--patch", "{}")
        assert "give one of them" in refused.stderr
        await in_thread(bloge, "replay", "--operator", "Far", "--patch", '{"mended":true}')
        lease = await asyncio.to_thread(worker.claim)
        payload = json.loads(lease.spec.payload)
        assert payload["operatorRef"] == "Far"
        await asyncio.to_thread(worker.complete, lease, payload["mended"])

    result = await with_dead_letter(server_address, namespace, worker, act)
    assert result.outputs["far"] is True


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
    items: list[str] = []

    async def act(item_id: str) -> None:
        items.append(item_id)

    await with_dead_letter(server_address, namespace, worker, act, "on_dead_letter = resume_with_failure")
    result = await in_thread(bloge, "replay", *items)
    assert result.exit_code == 1
    assert result.stdout == "0 dead letters replayed, 1 refused\n"
    assert "with outcome FAILED" in result.stderr


async def test_a_late_output_is_adopted(
    server_address: str, namespace: str, new_worker: NewWorker, bloge: Bloge
) -> None:
    """A worker was too slow, the next one failed: the work is there all the same."""
    slow, next_one = new_worker("slow"), new_worker("next")
    graph = compiled('node far : Far { execution_mode = remote worker_topic = "far" timeout = 1m }')

    def lose() -> str:
        late = slow.claim(lease_seconds=1)
        lease = next_one.claim()
        assert slow.complete(late, {"late": True}).reason == ERROR_REASON_SUPERSEDED
        next_one.fail(lease, non_retryable=True)
        return lease.spec.item_id

    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        running = asyncio.create_task(orchestrator.run(graph))
        item_id = await asyncio.to_thread(lose)
        assert "late output of fence" in (await in_thread(bloge, "show", item_id)).stdout
        adopted = await in_thread(bloge, "adopt", item_id)
        result = await running
    assert (adopted.exit_code, adopted.stdout[:8]) == (0, "adopted:")
    assert result.outputs == {"far": {"late": True}}
