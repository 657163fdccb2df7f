"""What holds for every member of one file while it is lowered."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.operators import OperatorRegistry

if TYPE_CHECKING:
    from bloge_orchestrator.lowering.subgraphs import Subgraphs


@dataclass(frozen=True, slots=True)
class FileContext:
    """The schemas a file declares, the graphs it can name, and the operators that its local nodes are looked up in.

    `registry` is None if operators are not looked up; `complete` is False if some of its members could not be read.
    """

    problems: Problems
    schemas: Collection[str]
    subgraphs: "Subgraphs"
    registry: OperatorRegistry | None
    complete: bool
