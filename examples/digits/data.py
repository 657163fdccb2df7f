"""The scans: reading them, keeping some of them out of the fitting, and cutting them into batches."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PIXELS = 64
"""Grey levels of one scan: 8 rows of 8, each 0 (paper) to 16 (ink)."""
MAX_GREY = 16
CLASSES = 10
HELD_OUT_EVERY = 3
"""Every third scan is held out: those at the positions 2, 5, 8, ... of the file."""

Image = list[int]
_FILE = Path(__file__).with_name("digits.csv.gz")


@dataclass(frozen=True, slots=True)
class Scans:
    """Scans and what they show: `pixels` is (n, 64) with grey levels 0 to 16, `labels` is (n,) with digits 0 to 9."""

    pixels: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def load() -> Scans:
    """Read all 1,797 scans in the order of the file."""
    with gzip.open(_FILE, "rt", encoding="ascii") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.int64)
    return Scans(pixels=table[:, :PIXELS], labels=table[:, PIXELS])


def split(scans: Scans) -> tuple[Scans, Scans]:
    """Give the scans a model may be fitted on, and the held-out ones it must never have seen. No scan is in both."""
    held_out = np.arange(len(scans)) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    return _select(scans, ~held_out), _select(scans, held_out)


def batches(scans: Scans, count: int) -> list[Scans]:
    """Cut scans into `count` batches that differ in size by one at most, in order.

    Raises:
        ValueError: If `count` is not between 1 and the number of scans.
    """
    if not 1 <= count <= len(scans):
        raise ValueError(f"count is {count}; choose 1 to {len(scans)}, the number of scans")
    return [_select(scans, part) for part in np.array_split(np.arange(len(scans)), count)]


def _select(scans: Scans, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Scans:
    return Scans(pixels=scans.pixels[rows], labels=scans.labels[rows])
