"""A model that lives on a device: loaded once for each process, asked many times."""

import importlib
import time
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from examples.digits import data
from examples.digits.model import GAMMA, fit


@dataclass(frozen=True)
class Device:
    """Where arrays live: `arrays` is CuPy or NumPy, which look alike."""

    name: str
    arrays: ModuleType


def find_device() -> Device:
    """Return the first GPU that CuPy can use, else the CPU.

    Several GPUs: run one worker for each, with CUDA_VISIBLE_DEVICES, and `concurrency=1`.
    """
    try:
        cupy = importlib.import_module("cupy")
        if cupy.cuda.runtime.getDeviceCount():
            return Device("gpu", cupy)
    except Exception:  # noqa: BLE001, S110 - no CuPy, no driver, no device: each means that there is no GPU to use
        pass
    return Device("cpu", importlib.import_module("numpy"))


@dataclass(frozen=True)
class Model:
    """A classifier of digits, its arrays on a device."""

    device: Device
    scans: Any
    weights: Any
    load_seconds: float

    def classify(self, images: list[data.Image]) -> list[int]:
        """Name the digit that each image shows.

        Raises:
            ValueError: an image has not 64 grey levels.
        """
        arrays = self.device.arrays
        batch = arrays.asarray(images, dtype=float)
        if batch.ndim != 2 or batch.shape[1] != data.PIXELS:  # noqa: PLR2004 - a table has two dimensions
            raise ValueError(f"images must be lists of {data.PIXELS} grey levels")
        batch = batch / data.MAX_GREY
        squares = (batch**2).sum(axis=1)[:, None] + (self.scans**2).sum(axis=1)
        scores = arrays.exp(-GAMMA * (squares - 2 * batch @ self.scans.T)) @ self.weights
        return [int(digit) for digit in scores.argmax(axis=1)]


@cache
def load() -> Model:
    """Load the model onto the device, once in the life of a process."""
    started = time.monotonic()
    device = find_device()
    fitting, _ = data.split(data.load())
    classifier = fit(fitting)  # in earnest: read gigabytes of weights from a file
    scans, weights = device.arrays.asarray(classifier.scans), device.arrays.asarray(classifier.weights)
    return Model(device, scans, weights, time.monotonic() - started)
