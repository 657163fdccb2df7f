"""A worker whose handlers wait until they are cancelled and never say a word to the server meanwhile.

It says on standard output `begun ITEM` and `stopped ITEM SECONDS`, when on the machine's monotonic clock.
"""

import argparse
import asyncio
import sys
import time

from bloge_worker import WorkContext, Worker

TOPIC = "cancel"


def say(*words: object) -> None:
    """Tell the benchmark."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    worker = Worker(parser.parse_args().address, slots=4, lease_duration=3600, drain_grace=1)

    @worker.handler(TOPIC, operator="async")
    async def wait_on_the_loop(ctx: WorkContext) -> None:
        say("begun", ctx.item_id)
        try:
            await asyncio.Event().wait()
        finally:
            say("stopped", ctx.item_id, time.monotonic())

    @worker.handler(TOPIC, operator="thread")
    def wait_in_a_thread(ctx: WorkContext) -> None:
        say("begun", ctx.item_id)
        ctx.wait_cancelled()
        say("stopped", ctx.item_id, time.monotonic())

    worker.run_forever()


if __name__ == "__main__":
    main()
