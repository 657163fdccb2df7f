"""What an audit tells."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is not as it should be."""

    namespace: str
    worker_topic: str
    item_id: str
    """The item, or the execution, whose item has the same id; empty for a finding about the topic."""
    problem: str
    repaired: bool


class Step(NamedTuple):
    """What one bounded step looked at and found."""

    checked: int
    findings: list[Finding]
