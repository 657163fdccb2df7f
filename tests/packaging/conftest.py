"""Wheels as users get them: built, and installed where the source tree is out of reach."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 280
NO_INDEX = re.compile(
    r"No matching distribution found|Could not find a version|Failed to establish a new connection|NewConnectionError"
    r"|name resolution|ConnectTimeoutError|ProxyError|ReadTimeoutError|Network is unreachable",
)
"""What pip says when it cannot reach an index; anything else is an error of ours."""


@dataclass(frozen=True)
class Installed:
    """A fresh environment with the worker SDK from its wheel."""

    folder: Path
    elsewhere: Path
    """A folder outside of the source tree, to run in."""

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command of the environment; return what it printed."""
        known = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BLOGE_"))}
        done = subprocess.run(
            [str(self.folder / "bin" / command[0]), *command[1:]],
            cwd=self.elsewhere,
            env={**known, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def python(self, code: str) -> str:
        """Run Python code in the environment; return what it printed."""
        return self.run("python", "-c", code)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the wheels of the contract and the SDK, or skip with the reason."""
    folder = tmp_path_factory.mktemp("wheels")
    _pip(
        sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT / "protos"), str(ROOT / "worker_sdk")
    )
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return an environment in which nothing but the wheels and what they drag in is installed."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=SECONDS)
    _pip(str(folder / "bin/python"), "install", *(str(wheel) for wheel in wheels))
    return Installed(folder, tmp_path_factory.mktemp("elsewhere"))


def _pip(python: str, *arguments: str) -> None:
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode and NO_INDEX.search(done.stdout + done.stderr):
        pytest.skip(f"no package index can be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
