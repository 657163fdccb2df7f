"""Runs one program to its end, or kills it with all that it has started."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from bloge_worker import WorkContext

GRACE = 1.0
"""Seconds between asking a program to end and killing it."""
STDERR_BYTES = 4096


class ToolError(Exception):
    """The program ended with an error. Its last words are the message."""

    def __init__(self, command: str, code: int, stderr: bytes) -> None:
        self.code = code
        words = stderr[-STDERR_BYTES:].decode(errors="replace").strip()
        super().__init__(f"{command} ended with {code}: {words}" if words else f"{command} ended with {code}")


async def run_tool(command: Sequence[str], data: bytes, ctx: WorkContext) -> bytes:
    """Feed a program its input and return its output.

    If the run is cancelled the program and its children are told to end, and killed if they do not. It is given no
    longer than the node waits.

    Args:
        command: program and arguments; no shell reads them.
        data: its standard input.
        ctx: of the run.

    Raises:
        ToolError: it ended with an error.
        TimeoutError: the suspend deadline has come.
    """
    # A session of its own makes it the leader of a process group that can be signalled as a whole.
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        async with asyncio.timeout(ctx.remaining()):
            output, errors = await process.communicate(data)
    finally:
        if process.returncode is None:
            ctx.log.warning("ending %s: %s", command[0], ctx.cancel_reason or "out of time")
            await asyncio.shield(_end(process))
    if process.returncode:
        raise ToolError(command[0], process.returncode, errors)
    return output


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await process.wait()
                return
