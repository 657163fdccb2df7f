"""The examples of workers, each run with the one command that its README gives."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bloge_worker import WorkContext, Worker
from bloge_worker.testing import FakeControlPlane, HandlerOutcome, run_handler_async
from examples.native_binary.tool import run_tool
from examples.native_binary.worker import worker as sorter
from support.waiting import until

ROOT = Path(__file__).parents[2]


def run_example(name: str, address: str) -> str:
    """Run an example against a server; return what it printed."""
    command = [sys.executable, "-m", f"examples.{name}"]
    environment = {**os.environ, "BLOGE_ADDRESS": address}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(120)
def test_gpu_inference(server_address: str) -> None:
    """Every batch in one process, whose model was loaded once, as accurate on this device as on any."""
    right, scans, share, processes = re.findall(
        r"(\d+) of (\d+) scans right \(([\d.]+)%\) on the [cg]pu: 5 batches, (\d+) process,",
        run_example("gpu_inference", server_address),
    )[0]
    assert (int(right), int(scans), int(processes)) == (593, 599, 1)
    assert float(share) == 99.0


@pytest.mark.timeout(120)
def test_native_binary(server_address: str) -> None:
    """What was asked for is sorted, and what was cancelled has gone."""
    printed = run_example("native_binary", server_address)
    assert "sorted: 1G 2M 64K 10K 512" in printed
    assert "slept for an hour: CANCELLED" in printed


@pytest.mark.timeout(120)
def test_agent_tool(server_address: str) -> None:
    """The model is told about wrong arguments and about nothing found, in words it can act on, and gets its answer."""
    told = re.findall(r"^told: (.*)$", run_example("agent_tool", server_address), flags=re.MULTILINE)
    assert told[0].startswith("InvalidInput: input.words: Input should be a valid list")
    assert told[1] == "NOTHING_FOUND: no paragraph has all of: lease, unicorn; try fewer words"
    assert '"page"' in told[2]


@pytest.mark.parametrize("ignores", ["", "trap '' TERM;"], ids=["gentle", "stubborn"])
async def test_a_cancelled_program_is_ended_with_all_it_started(tmp_path: Path, ignores: str) -> None:
    """Its children do not stay behind, and one that does not listen is killed."""
    written = tmp_path / "children"
    script = f"{ignores} sleep 1000 & echo $! $$ > {written}.new; mv {written}.new {written}; while :; do wait; done"
    with FakeControlPlane() as plane:
        worker = Worker(plane.address)

        @worker.handler("tools")
        async def handle(ctx: WorkContext) -> None:
            await run_tool(["sh", "-c", script], b"", ctx)

        async with worker:
            item = plane.enqueue("tools")
            await asyncio.to_thread(until, written.exists, "the program runs")
            children = [int(pid) for pid in written.read_text().split()]
            plane.cancel(item)
            await asyncio.to_thread(until, lambda: not any(map(_runs, children)), "all of it has ended")


async def test_a_program_gets_no_longer_than_its_node_waits() -> None:
    """At the suspend deadline nobody wants its output any more."""

    async def handle(ctx: WorkContext) -> None:
        await run_tool(["sleep", "1000"], b"", ctx)

    assert (await run_handler_async(handle, remaining=0.2)).error_type == "TimeoutError"


async def test_a_programs_last_words_are_the_failures_message() -> None:
    """Its exit code and what it said on standard error."""

    async def handle(ctx: WorkContext) -> None:
        await run_tool(["sh", "-c", "echo no space left >&2; exit 3"], b"", ctx)

    outcome = await run_handler_async(handle)
    assert (outcome.error_type, outcome.message) == ("ToolError", "sh ended with 3: no space left")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"lines": ["b", "a", "b"], "by": ["unique"]}, HandlerOutcome("completed", output=["a", "b"])),
        ({"lines": ["10", "9"], "by": ["numeric"]}, HandlerOutcome("completed", output=["9", "10"])),
        ({"lines": []}, HandlerOutcome("completed", output=[])),
    ],
)
async def test_lines_are_sorted(value: object, expected: HandlerOutcome) -> None:
    """As the system's `sort` does it."""
    assert await run_handler_async(sorter, value, operator_ref="Sort") == expected


@pytest.mark.parametrize(
    ("value", "kind"), [({"lines": ["a\nb"]}, "Rejected"), ({"lines": [], "by": ["-o/etc/passwd"]}, "InvalidInput")]
)
async def test_what_is_no_list_of_lines_is_refused(value: object, kind: str) -> None:
    """No retry mends it, and nobody smuggles flags in."""
    outcome = await run_handler_async(sorter, value, operator_ref="Sort")
    assert (outcome.error_type, outcome.non_retryable) == (kind, True)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
