"""Graphs as SVG pictures: boxes in layers from top to bottom, what is inside a box inside its frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from bloge_orchestrator.graph import GraphSpec, NodeKind
from bloge_orchestrator.rendering.layers import place
from bloge_orchestrator.rendering.picture import Arrow, Box, Picture, picture_of
from bloge_orchestrator.rendering.text_width import text_width
from bloge_orchestrator.rendering.ways import Ways

MARGIN = 24.0
LINE = 17.0
PADDING_X, PADDING_Y = 14.0, 9.0
FRAME = 18.0
"""Distance of a frame from what is inside."""
BESIDE, BETWEEN = 26.0, 34.0
"""Distances of boxes and of layers."""
BOX_WIDTH_MIN = 96.0
TITLE_SIZE, TEXT_SIZE, LABEL_SIZE = 13.0, 11.5, 11.0
STYLE = """
text { font-family: system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; fill: #18181b; }
.title { font-size: 13px; font-weight: 600; }
.line { font-size: 11.5px; fill: #52525b; }
.box { fill: #ffffff; stroke: #a1a1aa; stroke-width: 1.2; }
.remote .box { fill: #e8f0fe; stroke: #1a56db; stroke-width: 2; }
.remote .topic { fill: #1a56db; font-weight: 600; }
.transform .box { fill: #f4f4f5; }
.branch .box { fill: #fff7e0; stroke: #b7791f; }
.frame { fill: #18181b; fill-opacity: 0.025; stroke: #a1a1aa; stroke-width: 1.2; stroke-dasharray: 5 4; }
.arrow { fill: none; stroke: #71717a; stroke-width: 1.3; }
.conditional { stroke: #b7791f; stroke-dasharray: 4 3; }
.label { font-size: 11px; fill: #92600a; paint-order: stroke; stroke: #ffffff; stroke-width: 4; }
""".strip()


ARROW_HEAD = """
<defs>
<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 1 L9 5 L0 9 z" fill="#71717a"/>
</marker>
</defs>
""".strip()


def svg(graph: GraphSpec) -> str:
    """Draw a graph as an SVG document; remote nodes have another colour, and name their worker topic."""
    scene = _Scene(picture_of(graph))
    width, height = f"{scene.width + 2 * MARGIN:.0f}", f"{scene.height + 2 * MARGIN:.0f}"
    name, size = quoteattr(f"graph {graph.name}"), f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={name} {size}>',
            f"<title>{escape(graph.name)}</title>",
            f"<style>{STYLE}</style>",
            ARROW_HEAD,
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *scene.drawn(MARGIN, MARGIN),
            "</svg>\n",
        ]
    )


@dataclass(frozen=True, slots=True)
class _Size:
    width: float
    height: float
    head: float
    """How much of the height is text."""


@dataclass(frozen=True, slots=True)
class _Label:
    """What stands on an arrow; it has a place of its own, so that no two stand on each other."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """An arrow, or one of two pieces of it: down to its label, and on from there."""

    start: str
    end: str
    conditional: bool
    label: _Label | None = None
    """What the piece leads to instead of a box."""


def _pieces(arrow: Arrow) -> list[_Piece]:
    if not arrow.label:
        return [_Piece(arrow.start, arrow.end, arrow.conditional)]
    label = _Label(f"{arrow.start}>{arrow.end}", arrow.label)
    return [
        _Piece(arrow.start, label.name, arrow.conditional, label),
        _Piece(label.name, arrow.end, arrow.conditional),
    ]


class _Scene:
    """One picture, placed; those inside its boxes are scenes of their own."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._inside = {box.name: _Scene(box.inside) for box in picture.boxes if box.inside is not None}
        self._sizes = {box.name: self._size(box) for box in picture.boxes}
        sizes = {name: (size.width, size.height) for name, size in self._sizes.items()}
        self._pieces = [piece for arrow in picture.arrows for piece in _pieces(arrow)]
        for label in filter(None, (piece.label for piece in self._pieces)):
            sizes[label.name] = (text_width(label.text, LABEL_SIZE), LINE)
        self._placed = place(
            sizes, [(piece.start, piece.end) for piece in self._pieces], beside=BESIDE, between=BETWEEN
        )
        self.width, self.height = self._placed.width, self._placed.height

    def drawn(self, x: float, y: float) -> Iterator[str]:
        """Draw it with its upper left corner at a place: frames first, then arrows, then boxes above them."""
        for box in self._picture.boxes:
            if box.name in self._inside:
                yield from self._frame(box, x, y)
        ways = Ways(self._placed)
        for number, piece in enumerate(self._pieces):
            yield _drawn_arrow(piece, [(x + to_x, y + to_y) for to_x, to_y in ways.points(number)])
            if piece.label is not None:
                yield self._label(piece.label, x, y)
        for box in self._picture.boxes:
            if box.name not in self._inside:
                yield from self._box(box, x, y)

    def _size(self, box: Box) -> _Size:
        title, *lines = box.lines
        widths = [text_width(title, TITLE_SIZE, bold=True), *(text_width(line, TEXT_SIZE) for line in lines)]
        width, head = max(BOX_WIDTH_MIN, max(widths) + 2 * PADDING_X), LINE * len(box.lines) + 2 * PADDING_Y
        inside = self._inside.get(box.name)
        if inside is None:
            return _Size(width, head, head)
        return _Size(max(width, inside.width + 2 * FRAME), head + inside.height + FRAME, head)

    def _corner(self, box: Box, x: float, y: float) -> tuple[float, float]:
        at = self._placed.places[box.name]
        return x + at.x - at.width / 2, y + at.y

    def _label(self, label: _Label, x: float, y: float) -> str:
        at = self._placed.places[label.name]
        middle = f'x="{x + at.x:.1f}" y="{y + at.y + at.height * 0.7:.1f}" text-anchor="middle"'
        return f'<text class="label" {middle}>{escape(label.text)}</text>'

    def _frame(self, box: Box, x: float, y: float) -> Iterator[str]:
        left, top = self._corner(box, x, y)
        size, inside = self._sizes[box.name], self._inside[box.name]
        yield f'<g class="{box.kind.value.lower()}">'
        yield _rectangle("frame", left, top, size, 8)
        yield from _texts(box, left + PADDING_X, top, "start")
        yield from inside.drawn(left + (size.width - inside.width) / 2, top + size.head)
        yield "</g>"

    def _box(self, box: Box, x: float, y: float) -> Iterator[str]:
        left, top = self._corner(box, x, y)
        size = self._sizes[box.name]
        yield f'<g class="{box.kind.value.lower()}">'
        yield _rectangle("box", left, top, size, _RADIUS.get(box.kind, 6))
        yield from _texts(box, left + size.width / 2, top, "middle")
        yield "</g>"


_RADIUS = {NodeKind.TRANSFORM: 14, NodeKind.BRANCH: 2}


def _rectangle(kind: str, left: float, top: float, size: _Size, radius: int) -> str:
    place_and_size = f'x="{left:.1f}" y="{top:.1f}" width="{size.width:.1f}" height="{size.height:.1f}"'
    return f'<rect class="{kind}" {place_and_size} rx="{radius}"/>'


def _texts(box: Box, x: float, top: float, anchor: str) -> Iterator[str]:
    for number, line in enumerate(box.lines):
        kind = "title" if number == 0 else "line topic" if line.startswith("worker topic ") else "line"
        y = top + PADDING_Y + LINE * number + LINE * 0.72
        yield f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(line)}</text>'


def _drawn_arrow(piece: _Piece, points: Sequence[tuple[float, float]]) -> str:
    """Draw a line that is upright at every point."""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x, y), (to_x, to_y) in pairwise(points):
        middle = (y + to_y) / 2
        path.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
    kind = "arrow conditional" if piece.conditional else "arrow"
    head = "" if piece.label is not None else ' marker-end="url(#head)"'
    return f'<path class="{kind}" d="{" ".join(path)}"{head}/>'
