"""The example graphs, run as their README says: a worker process, a server, and `bloge run`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bloge_orchestrator.compiler import read_source
from bloge_orchestrator.formatting import format_source
from bloge_orchestrator.graph_files import FilesOnDisk
from bloge_orchestrator.rendering import svg

ROOT = Path(__file__).parents[2]
GRAPHS = ROOT / "examples" / "graphs"
FILES = sorted(ROOT.glob("examples/**/*.bloge"))


@pytest.fixture
def worker(server_address: str, namespace: str) -> Iterator[None]:
    """A worker process of the examples."""
    command = [sys.executable, "-m", "bloge_worker", "examples.graphs.worker:worker"]
    with subprocess.Popen([*command, "--address", server_address, "--namespace", namespace], cwd=ROOT) as process:
        yield
        process.terminate()


Ran = tuple[int, dict[str, Any]]


def run(graph: str, given: dict[str, Any], server_address: str, namespace: str) -> Ran:
    """Run `bloge run`; return its exit code and the result."""
    command = [sys.executable, "-m", "bloge_orchestrator", "run", f"examples/graphs/{graph}.bloge", "--json"]
    options = ["--operators", "examples.graphs.operators", "--input", json.dumps(given)]
    where = ["--address", server_address, "--namespace", namespace]
    done = subprocess.run(
        [*command, *options, *where], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.usefixtures("worker")
def test_reviews_are_scored_by_workers_and_one_is_left_out(server_address: str, namespace: str) -> None:
    """The item that a worker rejects is null; the graph completes with the others."""
    code, result = run("reviews", {"shop": "lamps"}, server_address, namespace)
    assert code == 0
    assert result["outputs"]["report"] == {"reviews": 5, "read": 4, "mean": 0.25, "angry": ["r2"]}
    assert result["nodes"]["scored[3]/score"]["status"] == "FAILED"
    assert result["nodes"]["scored[3]/score"]["error"]["type"] == "Rejected"
    assert result["nodes"]["scored"]["output"][3] is None


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("My lamp is broken, I want a refund", {"kind": "refund", "step": "refund of t-1 opened", "paged": False}),
        ("Where is my parcel? I need it now", {"kind": "delivery", "step": "ask the carrier", "paged": True}),
        ("Do you sell chairs?", {"kind": "other", "step": "a person reads t-1", "paged": False}),
    ],
)
def test_a_ticket_goes_where_the_worker_sends_it(
    text: str, answer: dict[str, Any], server_address: str, namespace: str
) -> None:
    """What is not chosen is skipped, and a step that fails has its fallback."""
    code, result = run("tickets", {"id": "t-1", "text": text}, server_address, namespace)
    assert (code, result["outputs"]["answer"]) == (0, answer)


@pytest.mark.usefixtures("worker")
def test_a_checkout_asks_a_subgraph_for_the_price(server_address: str, namespace: str) -> None:
    """Whose remote node runs on the worker."""
    code, result = run("checkout", {"order": "o-7", "currency": "USD"}, server_address, namespace)
    assert (code, result["outputs"]) == (0, {"invoice": {"text": "Ada: order o-7, 107.8 USD"}})
    assert result["nodes"]["priced/rate"]["attempts"] == 1


@pytest.mark.usefixtures("worker")
def test_a_business_error_inside_ends_the_subgraph_at_once(server_address: str, namespace: str) -> None:
    """No retry, inside or outside; the result names what failed and why."""
    code, result = run("checkout", {"order": "o-7", "currency": "XYZ"}, server_address, namespace)
    error = result["nodes"]["priced"]["error"]
    assert (code, error["type"], error["business"]) == (1, "UNKNOWN_CURRENCY", True)
    assert error["message"] == "priced/rate failed: there is no rate for XYZ"
    assert result["nodes"]["priced"]["attempts"] == 1
    assert result["nodes"]["invoice"]["reason"] == "priced failed"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_examples_are_formatted_and_valid(path: Path) -> None:
    """As users should see graphs."""
    text = path.read_text(encoding="utf-8")
    assert format_source(text, filename=str(path)) == text
    assert read_source(text, filename=str(path), files=FilesOnDisk()).nodes


def test_the_picture_is_that_of_the_graph() -> None:
    """`bloge render examples/graphs/tickets.bloge -o examples/graphs/tickets.svg` was run after the last change."""
    text = (GRAPHS / "tickets.bloge").read_text(encoding="utf-8")
    assert (GRAPHS / "tickets.svg").read_text(encoding="utf-8") == svg(read_source(text, filename="tickets.bloge"))
