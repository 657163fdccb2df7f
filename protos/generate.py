"""Generates the Python stubs of the protos: `generate.py` writes them, `generate.py --check` only compares."""

import subprocess
import sys
import tempfile
from pathlib import Path

import google.rpc

HERE = Path(__file__).parent
PACKAGE = Path("bloge/remote_workers/v1")
BIN = Path(sys.executable).parent


def generate(target: Path) -> list[Path]:
    """Write the stubs below `target` and return their paths, relative to it."""
    protos = sorted((HERE / PACKAGE).glob("*.proto"))
    common = [f"-I{HERE}", f"-I{Path(google.rpc.__path__[0]).parents[1]}"]
    _protoc(common, "mypy", [f"--python_out={target}", f"--mypy_out=quiet:{target}"], protos)
    services = [proto for proto in protos if proto.stem.endswith("_service")]
    _protoc(common, "mypy_grpc", [f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}"], services)
    return sorted(path.relative_to(target) for path in (target / PACKAGE).glob("*_pb2*.py*"))


def _protoc(common: list[str], plugin: str, outputs: list[str], protos: list[Path]) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", *common]
    plugged = f"--plugin=protoc-gen-{plugin}={BIN / f'protoc-gen-{plugin}'}"
    subprocess.run([*command, plugged, *outputs, *map(str, protos)], check=True)


def check() -> int:
    """Return 0 if the committed stubs are what the protos generate, else 1 after naming those that are not."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = generate(Path(scratch))
        committed = sorted(path.relative_to(HERE) for path in (HERE / PACKAGE).glob("*_pb2*.py*"))
        both = set(fresh) & set(committed)
        stale = [path for path in both if (Path(scratch) / path).read_bytes() != (HERE / path).read_bytes()]
    wrong = sorted({*stale, *(set(fresh) ^ set(committed))})
    for path in wrong:
        print(f"protos/{path} is not what the protos generate; run 'make proto'")
    return 1 if wrong else 0


def main() -> int:
    """Write or check the stubs."""
    if sys.argv[1:] == ["--check"]:
        return check()
    for stub in (HERE / PACKAGE).glob("*_pb2*.py*"):
        stub.unlink()
    generate(HERE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
