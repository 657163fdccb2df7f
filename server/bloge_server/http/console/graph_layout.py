"""Where the nodes of a graph stand in its picture: in layers, each behind all that it depends on. No I/O."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

BOX_WIDTH, BOX_HEIGHT = 200, 60
_GAP_X, _GAP_Y, _MARGIN = 56, 20, 12


class Spot(NamedTuple):
    """Where a node stands."""

    x: int
    y: int


class Layout(NamedTuple):
    """A picture."""

    spots: dict[str, Spot]
    """By node id: the upper left corner."""
    paths: list[str]
    """Of the arrows, as SVG writes them."""
    width: int
    height: int


def layout(needs: Mapping[str, Sequence[str]]) -> Layout:
    """Return where nodes stand.

    Args:
        needs: what each node depends on; names that are no nodes are left out.
    """
    layers = _ordered(_layers(needs), needs)
    tallest = max(map(len, layers), default=0)
    spots = {}
    for column, layer in enumerate(layers):
        above = (tallest - len(layer)) * (BOX_HEIGHT + _GAP_Y) // 2
        for row, node in enumerate(layer):
            x = _MARGIN + column * (BOX_WIDTH + _GAP_X)
            spots[node] = Spot(x, _MARGIN + above + row * (BOX_HEIGHT + _GAP_Y))
    paths = [_arrow(spots[need], spots[node]) for node in needs for need in needs[node] if need in spots]
    width = 2 * _MARGIN + max(1, len(layers)) * (BOX_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + max(1, tallest) * (BOX_HEIGHT + _GAP_Y) - _GAP_Y
    return Layout(spots, paths, width, height)


def _layers(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the nodes by the longest way that leads to them."""
    depth = dict.fromkeys(needs, 0)
    for _ in range(len(needs)):  # a way is no longer than there are nodes; a cycle, which no graph has, would end here
        moved = False
        for node, before in needs.items():
            least = max((depth[need] + 1 for need in before if need in depth), default=0)
            if least > depth[node]:
                depth[node], moved = least, True
        if not moved:
            break
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node, layer in depth.items():
        layers[layer].append(node)
    return [layer for layer in layers if layer]


def _ordered(layers: list[list[str]], needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return layers whose nodes stand near what they depend on."""
    place: dict[str, float] = {}
    found = []
    for layer in layers:
        middle = {node: _mean([place[need] for need in needs[node] if need in place]) for node in layer}
        ordered = sorted(layer, key=lambda node: middle[node])
        place.update({node: index - len(ordered) / 2 for index, node in enumerate(ordered)})
        found.append(ordered)
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _arrow(start: Spot, end: Spot) -> str:
    x1, y1 = start.x + BOX_WIDTH, start.y + BOX_HEIGHT // 2
    x2, y2 = end.x, end.y + BOX_HEIGHT // 2
    bend = max(20, (x2 - x1) // 2)
    return f"M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}"
