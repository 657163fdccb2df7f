"""Our worker."""

import uvloop

from benchmarks.peers.contract import Surroundings, handle
from bloge_worker import Worker

TOPIC = "bench"


def main() -> None:
    """Work until SIGTERM."""
    where = Surroundings.read()
    worker = Worker(where.store, slots=where.slots, lease_duration=where.lease_seconds or None, drain_grace=1)

    @worker.handler(TOPIC)
    async def run(input: dict[str, str]) -> dict[str, str]:  # noqa: A002 - the SDK names it so
        return await handle(input["item"])

    uvloop.run(worker.run())


if __name__ == "__main__":
    main()
