"""Local operators of orchestrator processes."""

from pathlib import Path
from typing import Any

from bloge_orchestrator import OperatorRegistry

registry = OperatorRegistry()


@registry.operator("PrepareBatch")
def prepare_batch(node_input: dict[str, Any]) -> Any:
    """Give the images of a batch."""
    return [f"{node_input.get('batch', 'b')}-{number}" for number in range(3)]


@registry.operator("Note")
def note(node_input: dict[str, Any]) -> Any:
    """Add a line to a file, and give its text back."""
    with Path(node_input["path"]).open("a", encoding="utf-8") as notes:
        notes.write(f"{node_input['text']}\n")
    return node_input["text"]
