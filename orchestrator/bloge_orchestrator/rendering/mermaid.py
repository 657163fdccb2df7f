"""Graphs as Mermaid flowcharts."""

import re
from collections.abc import Iterator
from itertools import count

from bloge_orchestrator.graph import GraphSpec, NodeKind
from bloge_orchestrator.rendering.picture import Box, Picture, picture_of

_SHAPES = {
    NodeKind.LOCAL: ('["', '"]'),
    NodeKind.REMOTE: ('[["', '"]]'),
    NodeKind.TRANSFORM: ('(["', '"])'),
    NodeKind.BRANCH: ('{"', '"}'),
}
_SPECIAL = re.compile(r"[^\w .,:;+*/=-]", re.ASCII)
_CLASSES = (
    "classDef remote fill:#e8f0fe,stroke:#1a56db,stroke-width:2px,color:#111",
    "classDef transform fill:#f4f4f5,stroke:#a1a1aa,color:#111",
    "classDef branch fill:#fff7e0,stroke:#b7791f,color:#111",
)


def mermaid(graph: GraphSpec) -> str:
    """Write a graph as a Mermaid flowchart; remote nodes have double sides, and name their worker topic."""
    writer = _Writer()
    lines = ["flowchart TD", f"%% graph {graph.name}", *writer.picture(picture_of(graph), "  ")]
    return "\n".join([*lines, *(f"  {style}" for style in _CLASSES), *writer.classes()]) + "\n"


class _Writer:
    def __init__(self) -> None:
        self._numbers = count(1)
        self._of_kind: dict[NodeKind, list[str]] = {}

    def picture(self, picture: Picture, indent: str) -> Iterator[str]:
        """Write the boxes and arrows of a picture."""
        ids = {box.name: f"n{next(self._numbers)}" for box in picture.boxes}
        for box in picture.boxes:
            yield from self._box(box, ids[box.name], indent)
        for arrow in picture.arrows:
            line = "-.->" if arrow.conditional else "-->"
            label = f'|"{_text(arrow.label)}"|' if arrow.label else ""
            yield f"{indent}{ids[arrow.start]} {line}{label} {ids[arrow.end]}"

    def classes(self) -> Iterator[str]:
        """Write which boxes are of which kind."""
        for kind, ids in self._of_kind.items():
            yield f"  class {','.join(ids)} {kind.value.lower()}"

    def _box(self, box: Box, box_id: str, indent: str) -> Iterator[str]:
        text = "<br/>".join(map(_text, box.lines))
        if box.inside is not None:
            yield f'{indent}subgraph {box_id}["{text}"]'
            yield from self.picture(box.inside, f"{indent}  ")
            yield f"{indent}end"
            return
        if box.kind in (NodeKind.REMOTE, NodeKind.TRANSFORM, NodeKind.BRANCH):
            self._of_kind.setdefault(box.kind, []).append(box_id)
        opening, closing = _SHAPES[box.kind]
        yield f"{indent}{box_id}{opening}{text}{closing}"


def _text(text: str) -> str:
    """Write what has a meaning for Mermaid, or is no ASCII, as a numbered character."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)
