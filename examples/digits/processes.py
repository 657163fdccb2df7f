"""The processes of the demo: started quietly, watched, and stopped for certain."""

import asyncio
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

_ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 5.0
_TAIL_LINES = 15

T = TypeVar("T")


class ProcessEndedError(RuntimeError):
    """A process ended that should be running; the message has the end of its log."""


class Processes:
    """Child processes by name, each with a log in `folder`; none is left when the `async with` block ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._watches: dict[str, asyncio.Task[int]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._children:
            name, child = self._children.popitem()  # the server was started first and is stopped last
            if child.returncode is None:
                child.terminate()
            await self._gone(name, child)

    async def start(self, name: str, module: str, *arguments: str) -> int:
        """Run `python -m module arguments` under `name` and return its process id."""
        with self._log(name).open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *arguments,
                cwd=_ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which stops its children in order
            )
        self._children[name] = child
        self._watches[name] = asyncio.create_task(child.wait(), name=name)
        return child.pid

    async def kill(self, name: str) -> int:
        """End a process with SIGKILL, wait until it is gone, and return the process id that it had."""
        child = self._children.pop(name)
        child.kill()
        await self._gone(name, child)
        return child.pid

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work`, but give it up if one of the processes that run now ends by itself.

        Raises:
            ProcessEndedError: If one does.
        """
        task = asyncio.create_task(work)
        pending: set[asyncio.Task[Any]] = {task, *self._watches.values()}
        try:
            while not task.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                self._check(done - {task})
            return await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _check(self, ended: set[asyncio.Task[Any]]) -> None:
        for name in (watch.get_name() for watch in ended):
            if name in self._children:  # one that was killed is no child any more
                raise ProcessEndedError(f"{name} ended by itself:\n{self._tail(name)}")

    async def _gone(self, name: str, child: asyncio.subprocess.Process) -> None:
        watch = self._watches.pop(name)
        try:
            await asyncio.wait_for(watch, _STOP_SECONDS)
        except TimeoutError:
            child.kill()
            await child.wait()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _tail(self, name: str) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def free_port() -> int:
    """Find a port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
