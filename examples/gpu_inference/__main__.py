"""Runs the worker, sends it the held-out scans in batches, and says how well it did."""

import asyncio
import logging
import sys

from examples.asking import Answer, Asker, server_address
from examples.digits import data
from examples.gpu_inference.worker import OPERATOR, TOPIC, worker

BATCHES = 5


async def main() -> None:
    """Classify 599 scans that the model has never seen."""
    address = server_address()
    worker.reconfigure(address=address)
    _, held_out = data.split(data.load())
    batches = data.batches(held_out, BATCHES)
    asker = Asker(address)
    async with worker:
        questions = (
            asyncio.to_thread(asker.ask, TOPIC, OPERATOR, {"images": batch.pixels.tolist()}) for batch in batches
        )
        answers: list[Answer] = await asyncio.gather(*questions)
    outputs = [answer.output for answer in answers]
    right = sum(
        digit == label
        for output, batch in zip(outputs, batches, strict=True)
        for digit, label in zip(output["digits"], batch.labels, strict=True)
    )
    processes = {output["process"] for output in outputs}
    sys.stdout.write(
        f"{right} of {len(held_out)} scans right ({right / len(held_out):.1%}) on the {outputs[0]['device']}: "
        f"{BATCHES} batches, {len(processes)} process, model loaded once in {outputs[0]['load_seconds']:.2f} s\n"
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(main())
