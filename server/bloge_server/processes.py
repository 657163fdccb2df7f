"""One server, in one process or in several that share its port.

An event loop uses one processor. With `processes` above 1 the process that was started becomes a supervisor: it keeps
the embedded store, starts the others, starts again what dies, and stops them. Each of them is a whole server of its own
on the one store, as servers on several machines are; the kernel deals new connections out among them (SO_REUSEPORT).
"""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import socket
import sys
from collections.abc import Coroutine, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import structlog

from bloge_server import app, listening
from bloge_server.config import Settings
from bloge_server.errors import StartupError
from bloge_server.http.server import OFF
from bloge_server.telemetry import logging

try:
    import uvloop
except ImportError:  # not on Windows
    _loop_factory = None
else:
    _loop_factory = uvloop.new_event_loop

_SPAWN = multiprocessing.get_context("spawn")
"""A fork would copy gRPC's threads and locks in whatever state they are."""
_AGAIN_SECONDS = 1.0
_STOP_SECONDS = 10.0
"""What a process may take to stop beyond the time in which it drains."""

_OBJECTS_A_COLLECTION = 50_000
"""After how many more objects the garbage collector looks for cycles; by default after 700. A batch of 500 items is
thousands of objects, all of them in use: to look at each batch, and now and then at all there is, is for nothing."""

_log = structlog.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartupError: it cannot start.
    """
    logging.configure(settings.log_format, settings.log_level)
    _run(_serve_alone(settings) if settings.processes == 1 else _supervise(settings))


def _run(main: Coroutine[None, None, None]) -> None:
    _calm_collector()
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        runner.run(main)


def _calm_collector() -> None:
    """Have the garbage collector look seldom, and never at what is there already: modules, which live as long as we."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_A_COLLECTION, *gc.get_threshold()[1:])


async def _serve_alone(settings: Settings) -> None:
    await app.run(settings, app.told_to_stop())


async def _supervise(settings: Settings) -> None:
    stop = app.told_to_stop()
    listening.refuse_strangers("--listen", settings.listen, insecure=settings.insecure)
    async with app.store_of(settings) as url:
        with _shared_port(settings.listen) as address:
            shared = settings.model_copy(update={"listen": address, "redis_url": url})
            try:
                async with asyncio.TaskGroup() as group:
                    for number in range(settings.processes):
                        group.create_task(_keep(_of_process(shared, number), number, stop))
            except* StartupError as errors:
                raise errors.exceptions[0] from None
    _log.info("all processes stopped")


@contextlib.contextmanager
def _shared_port(address: str) -> Iterator[str]:
    """Hold a port that processes can share; yield the address with its number.

    Raises:
        StartupError: somebody else listens there.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, _, _, where = found[0]
        with socket.socket(family, kind) as alone:  # a port that is shared already would be shared with us, too
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(where)
            where = alone.getsockname()
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(where)
    except OSError as error:
        raise listening.taken("--listen", address) from error
    with held:
        yield f"{host}:{where[1]}"


def _of_process(settings: Settings, number: int) -> Settings:
    """Return the settings of one process: its HTTP port is the number'th after the first one's."""
    if settings.http_listen == OFF or settings.http_listen.endswith(":0"):
        return settings
    host, _, port = settings.http_listen.rpartition(":")
    return settings.model_copy(update={"http_listen": f"{host}:{int(port) + number}"})


async def _keep(settings: Settings, number: int, stop: asyncio.Event) -> None:
    """Run a process, and another in its place whenever it ends, until told to stop.

    Raises:
        StartupError: it cannot start at all.
    """
    first = True
    while not stop.is_set():
        child, lifeline = _start(settings, number)
        try:
            await _ended_or(child, stop)
        finally:
            await _end(child, settings.drain_seconds + _STOP_SECONDS)
            lifeline.close()
        if stop.is_set():
            return
        if first and child.exitcode == os.EX_CONFIG:
            raise StartupError(f"--processes: process {number} cannot start; the log tells why")
        first = False
        _log.error("a process died; starting another", process=number, pid=child.pid, exit_code=child.exitcode)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _AGAIN_SECONDS)


def _start(settings: Settings, number: int) -> tuple[SpawnProcess, Connection]:
    """Start a process; it stops when the other end of its lifeline closes, as it does when the supervisor dies."""
    theirs, ours = _SPAWN.Pipe(duplex=False)
    child = _SPAWN.Process(target=_serve_shared, args=(settings, number, theirs), name=f"bloge-server-{number}")
    child.start()
    theirs.close()
    _log.info("process started", process=number, pid=child.pid)
    return child, ours


async def _ended_or(child: SpawnProcess, stop: asyncio.Event) -> None:
    """Return when a process has ended, or somebody said stop."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(child.sentinel, ended.set)
    waiting = [asyncio.create_task(event.wait()) for event in (ended, stop)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(child.sentinel)
        for each in waiting:
            each.cancel()


async def _end(child: SpawnProcess, seconds: float) -> None:
    """Have a process stop, by force if it takes too long."""
    child.terminate()
    await asyncio.to_thread(child.join, seconds)
    if child.is_alive():
        _log.error("a process does not stop; killing it", pid=child.pid)
        child.kill()
        await asyncio.to_thread(child.join)


def _serve_shared(settings: Settings, number: int, lifeline: Connection) -> None:
    """Serve as one of several processes."""
    logging.configure(settings.log_format, settings.log_level)
    structlog.contextvars.bind_contextvars(process=number)
    try:
        _run(_serve_while_held(settings, lifeline))
    except StartupError as error:
        _log.error("a process cannot start", error=str(error))
        sys.exit(os.EX_CONFIG)


async def _serve_while_held(settings: Settings, lifeline: Connection) -> None:
    stop = app.told_to_stop()
    asyncio.get_running_loop().add_reader(lifeline.fileno(), stop.set)
    await app.run(settings, stop)
