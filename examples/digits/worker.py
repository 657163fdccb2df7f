"""The worker: serves `InferenceOperator` on the topic `gpu-inference`.

python -m examples.digits.worker --address 127.0.0.1:7070
"""

import argparse
import logging
from typing import Any, NotRequired, TypedDict

from bloge_worker import Reject, WorkContext, Worker
from examples.digits import data, model

TOPIC = "gpu-inference"
OPERATOR = "InferenceOperator"
CHUNK = 10
"""How many images are classified between two progress reports."""


class Batch(TypedDict):
    """Input of the node."""

    images: list[data.Image]
    paceMillis: NotRequired[int | None]
    """The least time that the whole batch takes; without it the worker goes as fast as it can."""


class Answer(TypedDict):
    """Output of the node: one digit for each image, in order. A progress report holds the same, as far as it got."""

    digits: list[int]


def make_worker(options: argparse.Namespace) -> Worker:
    """Fit the model and register a handler that uses it."""
    fitting, _ = data.split(data.load())
    classifier = model.fit(fitting)
    worker = Worker(
        options.address, worker_id=options.worker_id, slots=options.slots, lease_duration=options.lease_seconds
    )

    @worker.handler(TOPIC, operator=OPERATOR)
    def infer(batch: Batch, ctx: WorkContext) -> Answer:
        """Classify a batch, going on where an earlier run of the item stopped."""
        images, digits = batch["images"], _answered_before(ctx.last_progress)
        ctx.log.info("classifying %d images from number %d on", len(images), len(digits))
        while len(digits) < len(images):
            try:
                digits += classifier.classify(images[len(digits) : len(digits) + CHUNK])
            except ValueError as error:
                raise Reject(str(error)) from error  # the images will not be better next time
            ctx.progress({"digits": digits})
            ctx.raise_if_cancelled(wait=_pause(batch))  # half of the digits are no output
        return {"digits": digits}

    return worker


def _answered_before(progress: Any) -> list[int]:  # noqa: ANN401 - whatever JSON an earlier run reported
    return list(progress["digits"]) if isinstance(progress, dict) and "digits" in progress else []


def _pause(batch: Batch) -> float:
    return (batch.get("paceMillis") or 0) / 1000 * CHUNK / len(batch["images"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.digits.worker", description="Classifies digits.")
    parser.add_argument("--address", help="the server (default: BLOGE_ADDRESS, else 127.0.0.1:7070)")
    parser.add_argument("--worker-id", help="unique for each life of the process (default: a random one)")
    parser.add_argument("--slots", type=int, default=1, help="how many batches at once (default: 1)")
    parser.add_argument("--lease-seconds", type=float, help="lease wanted, 1 to 3600 (default: the server's)")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    make_worker(_options()).run_forever()
