"""Places boxes in layers, each below all that an arrow comes from, so that few arrows cross and most are short.

The method of Sugiyama: layers by the longest way from above, stand-ins where an arrow passes a layer, order by the
middle of the neighbours, and then places as near to that middle as the neighbours beside allow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import pairwise

SWEEPS = 8
"""How often the order is improved, down and up: more changes nothing that one could see."""


@dataclass(slots=True)
class Place:
    """A box, or the stand-in of an arrow that passes its layer. `x` is its middle, `y` its upper edge."""

    width: float
    height: float
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    above: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where everything stands, from 0 on, and the way of each arrow as the names of what it goes through."""

    places: Mapping[str, Place]
    ways: tuple[tuple[str, ...], ...]
    layers: tuple[tuple[float, float], ...]
    """Upper and lower edge of each layer."""
    width: float
    height: float


def place(
    sizes: Mapping[str, tuple[float, float]],
    arrows: Sequence[tuple[str, str]],
    *,
    beside: float,
    between: float,
) -> Placed:
    """Place boxes.

    Args:
        sizes: Width and height of each box by name; the order decides where nothing else does.
        arrows: From which box to which; they go round in no circle.
        beside: Least distance of two boxes beside each other.
        between: Distance of two layers.

    """
    places = {name: Place(width, height) for name, (width, height) in sizes.items()}
    for name, layer in _layers(sizes, arrows).items():
        places[name].layer = layer
    ways = tuple(_way(places, start, end) for start, end in arrows)
    layers = _ordered(places)
    _set_x(places, layers, beside)
    edges = _set_y(places, layers, between)
    left = min(each.x - each.width / 2 for each in places.values())
    for each in places.values():
        each.x -= left
    return Placed(places, ways, edges, max(each.x + each.width / 2 for each in places.values()), edges[-1][1])


def _layers(names: Iterable[str], arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Put each box into the first layer below all that an arrow comes from."""
    before: dict[str, list[str]] = {name: [] for name in names}
    for start, end in arrows:
        before[end].append(start)
    layers: dict[str, int] = {}
    for name in TopologicalSorter(before).static_order():
        layers[name] = max((layers[each] + 1 for each in before[name]), default=0)
    return layers


def _way(places: dict[str, Place], start: str, end: str) -> tuple[str, ...]:
    """Connect two boxes, by a stand-in in each layer between them."""
    first, last = places[start].layer, places[end].layer
    stand_ins = [f"{start}>{end}@{layer}" for layer in range(first + 1, last)]
    for name, layer in zip(stand_ins, range(first + 1, last), strict=True):
        places.setdefault(name, Place(0.0, 0.0, layer))
    way = (start, *stand_ins, end)
    for upper, lower in pairwise(way):
        places[upper].below.append(lower)
        places[lower].above.append(upper)
    return way


def _ordered(places: Mapping[str, Place]) -> list[list[str]]:
    layers: list[list[str]] = [[] for _ in range(1 + max(each.layer for each in places.values()))]
    for name, each in places.items():
        layers[each.layer].append(name)
    rank = {name: number for layer in layers for number, name in enumerate(layer)}
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for layer in layers if downwards else reversed(layers):
            middles = {name: _middle_rank(places[name], rank, rank[name], downwards=downwards) for name in layer}
            layer.sort(key=middles.__getitem__)
            rank.update((name, number) for number, name in enumerate(layer))
    return layers


def _middle_rank(each: Place, rank: Mapping[str, int], own: int, *, downwards: bool) -> float:
    neighbours = each.above if downwards else each.below
    return sum(rank[other] for other in neighbours) / len(neighbours) if neighbours else own


def _set_x(places: Mapping[str, Place], layers: Sequence[Sequence[str]], beside: float) -> None:
    for layer in layers:
        _spread(places, layer, [0.0] * len(layer), beside)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for layer in layers if downwards else reversed(layers):
            _spread(places, layer, [_wanted_x(places, name, downwards=downwards) for name in layer], beside)


def _wanted_x(places: Mapping[str, Place], name: str, *, downwards: bool) -> float:
    each = places[name]
    neighbours = (each.above or each.below) if downwards else (each.below or each.above)
    return sum(places[other].x for other in neighbours) / len(neighbours) if neighbours else each.x


def _spread(places: Mapping[str, Place], layer: Sequence[str], wanted: Sequence[float], beside: float) -> None:
    """Give each its wanted middle as far as they do not touch: the least sum of squared distances.

    What touches is moved as one block to the mean of what its members want: regression with a monotone result.
    """
    offsets = [0.0]
    for left, right in pairwise(layer):
        gap = (places[left].width + places[right].width) / 2 + beside
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=False):
        total, number = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / number:
            before, members = blocks.pop()
            total, number = total + before, number + members
        blocks.append((total, number))
    starts = [total / number for total, number in blocks for _ in range(number)]
    for name, start, offset in zip(layer, starts, offsets, strict=False):
        places[name].x = start + offset


def _set_y(
    places: Mapping[str, Place], layers: Sequence[Sequence[str]], between: float
) -> tuple[tuple[float, float], ...]:
    """Put the layers below each other, each box into the middle of its layer; gives the edges of the layers."""
    y, edges = 0.0, []
    for layer in layers:
        height = max(places[name].height for name in layer)
        for name in layer:
            places[name].y = y + (height - places[name].height) / 2
        edges.append((y, y + height))
        y += height + between
    return tuple(edges)
