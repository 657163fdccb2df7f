"""Makes the environments of the peers: `python -m benchmarks.peers.install [NAME...]`.

Each has its own under `benchmarks/.cache`; BullMQ's packages stand beside its programs, where Node looks for them. A
peer that cannot be had here is left out, and the reason is printed.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache"
_SECONDS = 1200
_NATS = "github.com/nats-io/nats-server/v2@v2.15.2"
_TEMPORAL = "github.com/temporalio/cli/cmd/temporal@v1.5.1"
"""Later releases cannot be installed from their module: they replace a part of it by a folder of their repository."""


class Missing(Exception):  # noqa: N818 - names what happened
    """A peer cannot be had here."""


def python(name: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return CACHE / name / "venv" / "bin" / "python"


def binary(name: str, program: str) -> Path:
    """Return a program that was built for a peer."""
    return CACHE / name / "bin" / program


def _from_requirements(name: str) -> None:
    venv.create(CACHE / name / "venv", with_pip=True, clear=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
    _run([str(python(name)), *install, str(HERE / name / "requirements.txt")])


def _from_package(name: str) -> None:
    if shutil.which("node") is None:
        raise Missing("node is not here")
    _run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"], folder=HERE / name)


def _from_module(name: str, module: str) -> None:
    _run(["go", "install", module], variables={"GOBIN": str(CACHE / name / "bin")})


def _from_source(name: str, program: str) -> None:
    _run(["go", "build", "-o", str(binary(name, program)), "."], folder=HERE / name)


def _nats(name: str) -> None:
    _from_module(name, _NATS)
    _from_requirements(name)


def _temporal(name: str) -> None:
    _from_module(name, _TEMPORAL)
    _from_requirements(name)


INSTALLERS: Mapping[str, Callable[[str], None]] = {
    "bullmq": _from_package,
    "nats": _nats,
    "asynq": lambda name: _from_source(name, "asynq-peer"),
    "saq": _from_requirements,
    "taskiq": _from_requirements,
    "arq": _from_requirements,
    "dramatiq": _from_requirements,
    "celery": _from_requirements,
    "temporal": _temporal,
}
"""How each peer's environment is made."""


def marker(name: str) -> Path:
    """Return the file that stands there once a peer's environment is complete."""
    return CACHE / name / "installed"


def install(name: str) -> None:
    """Make the environment of a peer, unless it is there.

    Raises:
        Missing: it cannot be made; the message says why.
    """
    if marker(name).exists():
        return
    marker(name).parent.mkdir(parents=True, exist_ok=True)
    INSTALLERS[name](name)
    marker(name).touch()


def _run(command: Sequence[str], folder: Path | None = None, variables: Mapping[str, str] | None = None) -> None:
    try:
        ran = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise Missing(f"{command[0]} is not here") from error
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{command[0]} did not end within {_SECONDS} s") from error
    if ran.returncode:
        raise Missing((ran.stderr or ran.stdout).strip()[-300:])


def main() -> int:
    """Install the peers that are named, or all; return 0 even if some cannot be had."""
    for name in sys.argv[1:] or INSTALLERS:
        try:
            install(name)
            print(f"{name}: installed", flush=True)
        except Missing as missing:
            print(f"{name}: left out: {missing}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
