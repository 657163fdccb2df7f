"""The worker: `bloge-worker examples.gpu_inference.worker:worker`."""

import os
from dataclasses import dataclass

from bloge_worker import Reject, WorkContext, Worker
from examples.digits.data import Image
from examples.gpu_inference import model

TOPIC, OPERATOR = "gpu-batches", "ClassifyDigits"
CHUNK = 64
"""Images that go to the device at once: as many as its memory takes."""

worker = Worker()


@dataclass
class Batch:
    """The input: scans of 64 grey levels each."""

    images: list[Image]


@dataclass
class Answer:
    """The output, and what shows that the model stays loaded between items."""

    digits: list[int]
    device: str
    process: int
    load_seconds: float


# A process of its own: native code may hold the interpreter lock for as long as it likes, heartbeats go on, and a run
# that is cancelled is killed. One at a time: the device's memory holds one model.
@worker.handler(TOPIC, operator=OPERATOR, executor="process", concurrency=1)
def classify(batch: Batch, ctx: WorkContext) -> Answer:
    """Classify a batch, going on where an earlier run of the item stopped."""
    loaded = model.load()
    digits: list[int] = list(ctx.last_progress or [])
    while len(digits) < len(batch.images):
        try:
            digits += loaded.classify(batch.images[len(digits) : len(digits) + CHUNK])
        except ValueError as error:
            raise Reject(str(error)) from error  # the images will not be better next time
        ctx.progress(digits)
    ctx.log.info("classified %d images on the %s", len(digits), loaded.device.name)
    return Answer(digits, loaded.device.name, os.getpid(), loaded.load_seconds)
