"""The record of a run: every call and its answer, as JSON lines.

Each process writes a file of its own: one line when a call is made, one when its answer is there, each written through
at once, so that a killed process leaves everything it knew. All processes of a machine share the monotonic clock.
"""

import itertools
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call and its answer, or one event. Instants are in seconds of the monotonic clock."""

    client: str
    op: str
    start: float
    end: float | None = None
    """When the answer came; None: it never did, so what the call did is unknown."""
    request: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] | None = None
    """None or with `error`: unknown whether the call did anything."""

    @property
    def answered(self) -> bool:
        """Whether the answer says what the call did."""
        return self.answer is not None and "error" not in self.answer


class Recorder:
    """Writes the history of one process.

    Args:
        path: the file; its stem is the client's name.
    """

    def __init__(self, path: Path) -> None:
        # Line buffering: what is written survives a SIGKILL of the writer.
        self._file = path.open("a", buffering=1)
        self._numbers = itertools.count()

    def call(self, op: str, **request: Any) -> int:
        """Note that a call is made; return the number to note its answer by."""
        number = next(self._numbers)
        self._write({"n": number, "op": op, "t": time.monotonic(), "request": request})
        return number

    def answer(self, number: int, **answer: Any) -> None:
        """Note the answer of a call."""
        self._write({"n": number, "t": time.monotonic(), "answer": answer})

    def event(
        self, op: str, request: Mapping[str, Any] | None = None, *, start: float | None = None, **answer: Any
    ) -> None:
        """Note something that happened, now or from `start` until now."""
        now = time.monotonic()
        line = {"n": next(self._numbers), "op": op, "t": now if start is None else start, "request": request or {}}
        self._write(line | {"end": now, "answer": answer})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")


def merge(folder: Path) -> list[Call]:
    """Return the calls of all processes that wrote to a folder, in the order in which they began."""
    calls = itertools.chain.from_iterable(_calls(path) for path in sorted(folder.glob("*.jsonl")))
    return sorted(calls, key=lambda call: call.start)


def write(path: Path, calls: Iterable[Call]) -> None:
    """Write a history, one call a line."""
    with path.open("w") as file:
        for call in calls:
            file.write(json.dumps(asdict(call), separators=(",", ":")) + "\n")


def read(path: Path) -> list[Call]:
    """Read a history that `write` wrote."""
    with path.open() as file:
        return [Call(**json.loads(line)) for line in file]


def _calls(path: Path) -> list[Call]:
    begun: dict[int, dict[str, Any]] = {}
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # a killed process may leave half a line
        known = begun.setdefault(line["n"], line)
        if known is not line:
            known["end"], known["answer"] = line["t"], line["answer"]
    return [
        Call(path.stem, each["op"], each["t"], each.get("end"), each["request"], each.get("answer"))
        for each in begun.values()
    ]
