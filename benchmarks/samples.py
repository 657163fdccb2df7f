"""Figures from samples."""

from collections.abc import Sequence
from dataclasses import dataclass


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least a share of all samples does not exceed (nearest rank).

    Args:
        ordered: samples, ascending; at least one.
        share: 0 to 1, for example 0.99.

    Raises:
        ValueError: there is no sample, or the share is out of range.
    """
    if not ordered or not 0 <= share <= 1:
        raise ValueError(f"percentile {share} of {len(ordered)} samples; needs a share of 0 to 1 and a sample")
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """How samples are spread, in their own unit."""

    count: int
    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread | None":
        """Return the spread of samples in any order; None if there is none."""
        if not samples:
            return None
        ordered = sorted(samples)
        p50, p95, p99 = (percentile(ordered, share) for share in (0.50, 0.95, 0.99))
        return cls(len(ordered), p50, p95, p99, ordered[-1])


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how fast y grows with x, by least squares; 0 for fewer than two different x.

    Args:
        points: (x, y).
    """
    if not points:
        return 0.0
    middle = sum(x for x, _ in points) / len(points)
    height = sum(y for _, y in points) / len(points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * (y - height) for x, y in points) / spread if spread else 0.0
