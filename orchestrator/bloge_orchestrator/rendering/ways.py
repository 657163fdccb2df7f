"""The ways of arrows between placed boxes: straight down beside what is in a layer, curved only between layers."""

from bloge_orchestrator.rendering.layers import Placed

PORTS = 0.7
"""The part of a box's edge that arrows may leave from and arrive at."""

Point = tuple[float, float]


class Ways:
    """The points that each arrow goes through.

    Args:
        placed: Where the boxes stand.
    """

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        starts: dict[str, list[int]] = {}
        ends: dict[str, list[int]] = {}
        for number, way in enumerate(placed.ways):
            starts.setdefault(way[0], []).append(number)
            ends.setdefault(way[-1], []).append(number)
        self._leaving = {number: x for name, numbers in starts.items() for number, x in self._ports(name, numbers, 1)}
        self._arriving = {number: x for name, numbers in ends.items() for number, x in self._ports(name, numbers, -2)}

    def points(self, number: int) -> list[Point]:
        """Give the points of an arrow, by its number; it is to be drawn upright at each of them."""
        first, *between, last = self._placed.ways[number]
        points = self._down_from(first, self._leaving[number])
        for name in between:
            place = self._placed.places[name]
            upper, lower = self._placed.layers[place.layer]
            points += [(place.x, upper), (place.x, lower)]
        return points + self._down_to(last, self._arriving[number])

    def _ports(self, name: str, numbers: list[int], neighbour: int) -> list[tuple[int, float]]:
        """Share the edge of a box out among its arrows, in the order in which they go on."""
        place, ways = self._placed.places[name], self._placed.ways
        ordered = sorted(numbers, key=lambda number: self._placed.places[ways[number][neighbour]].x)
        step = place.width * PORTS / (len(ordered) + 1)
        return [
            (number, place.x - place.width * PORTS / 2 + step * position)
            for position, number in enumerate(ordered, start=1)
        ]

    def _down_from(self, name: str, x: float) -> list[Point]:
        place = self._placed.places[name]
        return [(x, place.y + place.height), (x, self._placed.layers[place.layer][1])]

    def _down_to(self, name: str, x: float) -> list[Point]:
        place = self._placed.places[name]
        return [(x, self._placed.layers[place.layer][0]), (x, place.y)]
