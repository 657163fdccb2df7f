"""What the README promises, run as a user runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from examples.digits import data

from .control import Enqueuer

ROOT = Path(__file__).parents[2]
NODE_WORKER = ROOT / "examples/workers/node"
INSTALL_SECONDS = 120
MODEL_ACCURACY = 0.95


def _run(*command: str, seconds: float = 100, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


@pytest.mark.timeout(120)
def test_demo_ends_right() -> None:
    """The demo kills a worker, and the graph still ends with the accuracy it must have."""
    demo = _run(sys.executable, "-m", "examples.digits.demo")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "LEASE_LOST" in demo.stdout


@pytest.fixture(scope="session")
def node_modules() -> None:
    """Have the JavaScript worker's packages, or skip with the reason."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("the JavaScript worker needs node and npm, which are not here")
    if not (NODE_WORKER / "node_modules").is_dir():
        install = _run(
            "npm", "install", "--prefix", str(NODE_WORKER), "--no-audit", "--no-fund", seconds=INSTALL_SECONDS
        )
        if install.returncode:
            pytest.skip(f"npm install failed: {install.stderr[-300:]}")


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("node_modules")
def test_a_worker_in_another_language(server_address: str) -> None:
    """The JavaScript worker classifies real scans on unary calls, as well as its README says."""
    _, held_out = data.split(data.load())
    with grpc.insecure_channel(server_address) as channel:
        enqueuer = Enqueuer(channel, "default", "gpu-inference")
        enqueuer.enqueue("node-1", {"images": held_out.pixels[:200].tolist()}, operator="InferenceOperator")
        worker = _run("node", str(NODE_WORKER / "worker.mjs"), "--address", server_address, "--once", "1")
        assert worker.returncode == 0, worker.stdout + worker.stderr
        digits = json.loads(enqueuer.outcome("node-1").output)["digits"]
    right = sum(digit == label for digit, label in zip(digits, held_out.labels[:200], strict=True))
    assert right / len(digits) >= MODEL_ACCURACY
