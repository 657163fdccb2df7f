"""The worker in shell, as its README shows it."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from support.server import ServerProcess

SCRIPT = Path(__file__).parents[2] / "examples/workers/shell/worker.sh"
PATIENCE = 40.0

Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("jq") is None, reason="the worker in shell needs curl and jq"
)


@pytest.fixture
def http(server_process: ServerProcess) -> Iterator[httpx.Client]:
    """Return a client of the gateway."""
    with httpx.Client(base_url=f"http://{server_process.http_address}/api/v1", timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def start(server_process: ServerProcess, namespace: str) -> Iterator[Start]:
    """Return what starts the worker on a topic of the test's own; whatever is left running is killed."""
    workers: list[subprocess.Popen[str]] = []

    def started(*flags: str) -> "subprocess.Popen[str]":
        command = [str(SCRIPT), "--url", f"http://{server_process.http_address}", "--topic", namespace, *flags]
        workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return workers[-1]

    yield started
    for worker in workers:
        worker.kill()
        worker.wait()
        assert worker.stdout is not None
        worker.stdout.close()


def enqueue(http: httpx.Client, topic: str, item_id: str, payload: object) -> None:
    """Enqueue an item."""
    created = http.post("/work-items", json={"workerTopic": topic, "itemId": item_id, "payload": payload})
    assert created.status_code == 201


def outcome(http: httpx.Client, topic: str, item_id: str) -> dict[str, object]:
    """Wait for an outcome, or for a dead letter."""
    found: dict[str, object] = http.get(f"/work-items/{topic}:{item_id}", params={"wait": "PT30S"}).json()
    return found


def told(worker: "subprocess.Popen[str]") -> str:
    """Return what a worker that has ended said."""
    assert worker.stdout is not None
    return worker.stdout.read()


def test_a_job_is_done_with_curl(http: httpx.Client, start: Start, namespace: str) -> None:
    """Enqueue, poll, complete, read: nothing but HTTP, text with quotes, blanks and umlauts included."""
    text = "The 'quick' \"brown\" fox\njumps über $(date) `id` \\ the dog\n"
    enqueue(http, namespace, "plain", {"text": text})
    enqueue(http, namespace, "node", {"operatorRef": "Count", "workerTopic": namespace, "input": {"text": "one two"}})
    worker = start("--once", "2")
    found = outcome(http, namespace, "plain")
    assert found["outcome"]["output"] == {"lines": 2, "words": 11, "bytes": len(text.encode())}  # type: ignore[index]
    assert outcome(http, namespace, "node")["outcome"]["output"]["words"] == 2  # type: ignore[index]
    assert worker.wait(timeout=PATIENCE) == 0
    assert told(worker).splitlines() == [f"completed {namespace}:plain", f"completed {namespace}:node"]


def test_what_cannot_be_done_is_a_dead_letter(http: httpx.Client, start: Start, namespace: str) -> None:
    """The failure says why, and no retry is wasted on it."""
    enqueue(http, namespace, "wrong", {"numbers": [1]})
    worker = start("--once", "1")
    assert worker.wait(timeout=PATIENCE) == 0
    assert told(worker) == f"failed {namespace}:wrong\n"
    (letter,) = http.get("/dead-letters", params={"shardId": namespace}).json()
    assert letter["deadLetterReason"] == "NON_RETRYABLE"
    assert letter["lastError"].startswith("BadInput: the input has no text")


def test_it_leaves_when_it_is_told_to(http: httpx.Client, start: Start, namespace: str) -> None:
    """SIGTERM ends it between two jobs, with exit code 0."""
    enqueue(http, namespace, "last", {"text": "one"})
    worker = start()
    assert worker.stdout is not None
    assert worker.stdout.readline() == f"completed {namespace}:last\n"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=PATIENCE) == 0
