"""A worker of the load: its handler does nothing but note which item it ran."""

import argparse
import json
import sys
from pathlib import Path

from bloge_worker import WorkContext, Worker

TOPIC = "load"


def main() -> None:
    """Work until SIGTERM, then write the ids of the items that ran, one a line for each run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--ran", type=Path, required=True, help="where to write the ids")
    options = parser.parse_args()
    worker = Worker(options.address, slots=options.slots, drain_grace=10)
    ran: list[str] = []

    @worker.handler(TOPIC)
    async def handle(ctx: WorkContext) -> object:
        ran.append(ctx.item_id)
        return {"ok": True}

    worker.run_forever()
    options.ran.write_text("".join(f"{item_id}\n" for item_id in ran))
    sys.stdout.write(json.dumps({"ran": len(ran)}) + "\n")


if __name__ == "__main__":
    main()
