"""The worker SDK from its wheel, in a fresh environment: no server, no store, no source tree."""

import json
import zipfile
from pathlib import Path

import pytest

from .conftest import ROOT, Installed

pytestmark = pytest.mark.timeout(300)

BROUGHT = {"bloge-protos", "bloge-worker-sdk", "googleapis-common-protos", "grpcio", "protobuf", "typing_extensions"}
"""Everything that `pip install bloge-worker-sdk` brings."""

HANDLER = """
from bloge_worker import Worker
from bloge_worker.testing import run_handler

worker = Worker("127.0.0.1:1")

@worker.handler("greetings", operator="Greet")
def greet(person: dict, ctx) -> dict:
    ctx.progress("half")
    return {"greeting": f"Hello, {person['name']}!"}
"""

TRIAL = """
from shop import run_handler, worker
outcome = run_handler(worker, {"name": "Ada"}, operator_ref="Greet")
assert outcome.output == {"greeting": "Hello, Ada!"}, outcome
assert outcome.progress == ["half"]
print("tried")
"""

WHOLE = """
import asyncio
from bloge_worker.testing import FakeControlPlane
from shop import worker

async def main():
    with FakeControlPlane() as plane:
        worker.reconfigure(address=plane.address)
        async with worker:
            item = plane.enqueue("greetings", {"name": "Ada"}, operator_ref="Greet")
            print((await plane.outcome(item)).output)

asyncio.run(main())
"""


@pytest.fixture
def shop(installed: Installed) -> Installed:
    """Return the environment with a module that defines a worker."""
    (installed.elsewhere / "shop.py").write_text(HANDLER)
    return installed


def test_it_brings_little(installed: Installed) -> None:
    """The contract, gRPC, and what these need; nothing of the server's, nothing of Redis."""
    listed = json.loads(installed.run("python", "-m", "pip", "list", "--format", "json"))
    assert {each["name"] for each in listed} - {"pip", "setuptools"} <= BROUGHT


def test_it_is_the_wheel_that_runs(installed: Installed) -> None:
    """Not the source tree, which another test run might have on its path."""
    code = "import bloge_worker, bloge.remote_workers as contract; print(bloge_worker.__file__, contract.__file__)"
    for place in installed.python(code).split():
        assert Path(place).is_relative_to(installed.folder)
        assert not Path(place).is_relative_to(ROOT)


def test_every_public_name_can_be_imported(installed: Installed) -> None:
    """None of them needs what is not there; the metrics alone ask for their extra."""
    installed.python("from bloge_worker import *; from bloge_worker.testing import *")
    code = "try: import bloge_worker.metrics\nexcept ModuleNotFoundError as error: print(error)"
    assert "pip install 'bloge-worker-sdk[metrics]'" in installed.python(code)


def test_the_command_is_there(shop: Installed) -> None:
    """It explains itself, and says what it misses."""
    assert "--health-port" in shop.run("bloge-worker", "--help")
    shop.run("bloge-worker", "shop:nobody", code=2)
    shop.run("bloge-worker", "shop:worker", "--reload", code=1)


def test_a_handler_can_be_tried(shop: Installed) -> None:
    """Without a server, as the tutorial says."""
    assert shop.python(TRIAL).strip() == "tried"


def test_a_whole_worker_runs_on_the_fake_control_plane(shop: Installed) -> None:
    """Over real gRPC, with what the wheel brought."""
    assert shop.python(WHOLE).strip() == "{'greeting': 'Hello, Ada!'}"


def test_the_wheels_hold_what_they_should(wheels: list[Path]) -> None:
    """The package, its marker for type checkers, the protos' stubs; no tests and no examples."""
    assert [wheel.name.partition("-")[0] for wheel in wheels] == ["bloge_protos", "bloge_worker_sdk"]
    contract, sdk = (zipfile.ZipFile(wheel).namelist() for wheel in wheels)
    assert {"bloge/remote_workers/py.typed", "bloge/remote_workers/v1/lease_pb2.pyi"} <= set(contract)
    assert {"bloge_worker/py.typed", "bloge_worker/testing/__init__.py"} <= set(sdk)
    assert {name.partition("/")[0] for name in sdk if "dist-info" not in name} == {"bloge_worker"}
    assert {name.partition("/")[0] for name in contract if "dist-info" not in name} == {"bloge"}
