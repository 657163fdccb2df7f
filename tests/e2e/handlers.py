"""A worker process of the tests: `python handlers.py ADDRESS NAMESPACE`. It says on standard output what it does."""

import asyncio
import sys
import time

from bloge_worker import WorkContext, Worker

LEASE_SECONDS = 1.0


def make_worker(address: str, namespace: str) -> Worker:
    """Return a worker with one handler for each thing a test wants to see."""
    worker = Worker(address, namespace=namespace, slots=4, lease_duration=LEASE_SECONDS, drain_grace=0.2)

    @worker.handler("e2e", operator="Echo")
    def echo(value: object) -> object:
        return {"echo": value}

    @worker.handler("e2e", operator="BlockLoop")
    async def block_loop(seconds: float) -> object:
        say("blocking")
        time.sleep(seconds)  # noqa: ASYNC251 - the point of the handler
        return {"blocked": seconds}

    @worker.handler("e2e", operator="UntilCancelled")
    async def until_cancelled(value: object, ctx: WorkContext) -> object:
        say(f"running {ctx.item_id}")
        try:
            await asyncio.Event().wait()
        finally:
            say(f"stopped {ctx.item_id}")
        return value

    return worker


def say(text: str) -> None:
    """Tell the test."""
    print(text, flush=True)


if __name__ == "__main__":
    make_worker(sys.argv[1], sys.argv[2]).run_forever()
