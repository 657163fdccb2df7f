"""The operators that run inside the orchestrator: one makes the batches, one compares the answers with the truth."""

from typing import Any, TypedDict

from bloge_orchestrator.operators import OperatorRegistry
from examples.digits import data

registry = OperatorRegistry()


class Prepared(TypedDict):
    """Output of `PrepareBatch`: the images of each batch, and apart from them what they show."""

    batches: list[list[data.Image]]
    truths: list[list[int]]


class Report(TypedDict):
    """Output of `ReportAccuracy`; `accuracy` is a share from 0 to 1."""

    scans: int
    correct: int
    accuracy: float
    confused: list[list[int]]
    """The wrong answers, as pairs of what the scan shows and what was read."""


@registry.operator("PrepareBatch")
def prepare_batch(node_input: dict[str, Any]) -> Prepared:
    """Cut the held-out scans into `count` batches.

    Raises:
        ValueError: If `count` is not between 1 and the number of held-out scans.
    """
    _, held_out = data.split(data.load())
    parts = data.batches(held_out, int(node_input["count"]))
    return {"batches": [part.pixels.tolist() for part in parts], "truths": [part.labels.tolist() for part in parts]}


@registry.operator("ReportAccuracy")
def report_accuracy(node_input: dict[str, Any]) -> Report:
    """Compare the `answers`, a list of digits for each batch, with the `truths`.

    Raises:
        ValueError: If a batch has more or fewer answers than scans.
    """
    pairs = [
        pair
        for truth, answer in zip(node_input["truths"], node_input["answers"], strict=True)
        for pair in zip(truth, answer, strict=True)
    ]
    confused = [[shown, read] for shown, read in pairs if shown != read]
    correct = len(pairs) - len(confused)
    return {"scans": len(pairs), "correct": correct, "accuracy": correct / len(pairs), "confused": confused}
