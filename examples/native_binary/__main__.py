"""Runs the worker, has it sort something, and cancels something that would never end."""

import asyncio
import logging
import sys

from bloge_worker import WorkContext
from examples.asking import Asker, server_address
from examples.native_binary.tool import run_tool
from examples.native_binary.worker import OPERATOR, TOPIC, worker

SIZES = ["10K", "2M", "512", "1G", "64K"]


async def main() -> None:
    """Sort, then cancel."""
    address = server_address()
    started = asyncio.Event()

    @worker.handler(TOPIC, operator="Sleep")
    async def sleep(ctx: WorkContext) -> None:
        started.set()
        await run_tool(["sleep", "3600"], b"", ctx)

    worker.reconfigure(address=address)
    asker = Asker(address)
    async with worker:
        answer = await asyncio.to_thread(asker.ask, TOPIC, OPERATOR, {"lines": SIZES, "by": ["human", "reverse"]})
        sys.stdout.write(f"sorted: {' '.join(answer.output)}\n")
        endless = await asyncio.to_thread(asker.enqueue, TOPIC, "Sleep", None)
        await started.wait()
        await asyncio.to_thread(asker.cancel, endless)
        answer = await asyncio.to_thread(asker.wait, endless)
        sys.stdout.write(f"the program that would have slept for an hour: {answer.kind}\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(main())
