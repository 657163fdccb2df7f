"""The worker processes of a load: started, started again when they die, killed and brought back."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks.load.ledger import Run
from benchmarks.load.profiles import Profile
from benchmarks.load.worker import read_notes

_STOP_SECONDS = 30.0
_IDLE_PER_PROCESS = 250
IDLE_TOPIC = "load-idle"


@dataclass(slots=True)
class Life:
    """One life of a worker process."""

    process: asyncio.subprocess.Process
    notes: Path
    killed: bool = False
    """True if it ended otherwise than by our asking it to."""


class Fleet:
    """Keeps a number of worker processes alive.

    Args:
        address: of the server.
        profile: how many, and what they do.
        folder: where they note what they ran.
    """

    def __init__(self, address: str, profile: Profile, folder: Path) -> None:
        self._address = address
        self._profile = profile
        self._folder = folder
        self._numbers = count()
        self._lives: list[Life] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._idle: list[asyncio.subprocess.Process] = []
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.restarts = 0
        """Workers that died by themselves and were started again."""

    @property
    def pids(self) -> list[int]:
        """The processes that live now, without those of idle sessions."""
        return [life.process.pid for life in self._lives if life.process.returncode is None]

    @property
    def idle_pids(self) -> list[int]:
        """The processes that keep idle sessions."""
        return [process.pid for process in self._idle]

    async def open_idle_sessions(self) -> None:
        """Open the profile's idle sessions, and return once the server has welcomed them all.

        Raises:
            RuntimeError: a process of sessions ended.
        """
        left = self._profile.idle_workers
        while left:
            here = min(left, _IDLE_PER_PROCESS)
            command = ["-m", "benchmarks.load.idle_sessions", "--address", self._address, "--topic", IDLE_TOPIC]
            command += ["--name", f"idle-{len(self._idle)}", "--count", str(here)]
            self._idle.append(
                await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
            )
            left -= here
        for process in self._idle:
            assert process.stdout is not None
            if await process.stdout.readline() != b"ready\n":
                raise RuntimeError("the idle sessions could not be opened")

    async def start(self) -> None:
        """Start the workers, keep them alive from now on, and return once the server has welcomed each."""
        lives = await asyncio.gather(*(self._launch() for _ in range(self._profile.workers)))
        self._keepers = [asyncio.create_task(self._keep(life)) for life in lives]
        for life in lives:
            assert life.process.stdout is not None
            await life.process.stdout.readline()

    async def broken(self) -> None:
        """Wait until a worker ends for a reason that no script gives.

        Raises:
            RuntimeError: it did.
        """
        await asyncio.shield(self._broken)

    async def kill(self) -> None:
        """Kill every worker, and start none until `start`."""
        await self._end(by_kill=True)

    async def stop(self) -> None:
        """Let the workers finish what they hold, and end them; end idle sessions too."""
        await self._end(by_kill=False)
        for process in self._idle:
            await _terminate(process)
        self._idle.clear()

    def runs(self) -> Iterator[Run]:
        """Yield every run that the workers of all lives noted."""
        for life in self._lives:
            yield from read_notes(life.notes, killed=life.killed)

    async def _keep(self, life: Life) -> None:
        while True:
            code = await life.process.wait()
            life.killed = True
            self.restarts += 1
            if code != -signal.SIGKILL and not self._broken.done():  # nobody's script did that
                self._broken.set_exception(RuntimeError(f"a worker process ended with code {code}"))
            life = await self._launch()

    async def _launch(self) -> Life:
        profile, notes = self._profile, self._folder / f"life-{next(self._numbers)}"
        command = ["-m", "benchmarks.load.worker", "--address", self._address, "--slots", str(profile.slots)]
        command += ["--lease-seconds", str(profile.lease_seconds), "--notes", str(notes)]
        command += ["--topics", *(name for name, _ in profile.topics)]
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
        life = Life(process, notes)
        self._lives.append(life)
        return life

    async def _end(self, *, by_kill: bool) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()
        living = [life for life in self._lives if life.process.returncode is None]
        for life in living:
            if by_kill:
                life.process.kill()
                life.killed = True
        await asyncio.gather(*(_terminate(life.process) for life in living))


async def _terminate(process: asyncio.subprocess.Process) -> None:
    """End a process, at the latest by SIGKILL."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
