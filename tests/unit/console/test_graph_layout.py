"""Where the nodes of a graph stand in its picture."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from bloge_server.http.console.graph_layout import BOX_HEIGHT, BOX_WIDTH, layout


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Draw what nodes depend on, without cycles."""
    count = draw(st.integers(0, 12))
    return {
        f"n{index}": [f"n{each}" for each in sorted(draw(st.sets(st.integers(0, index - 1), max_size=4)))]
        if index
        else []
        for index in range(count)
    }


@given(graphs())
def test_nodes_stand_behind_what_they_depend_on(needs: Mapping[str, Sequence[str]]) -> None:
    """Every arrow goes to the right."""
    spots = layout(needs).spots
    assert all(spots[need].x + BOX_WIDTH < spots[node].x for node in needs for need in needs[node])


@given(graphs())
def test_nodes_do_not_cover_each_other_and_are_in_the_picture(needs: Mapping[str, Sequence[str]]) -> None:
    """However many there are."""
    placed = layout(needs)
    boxes = sorted(placed.spots.values())
    assert len(boxes) == len(needs)
    assert all(0 <= each.x <= placed.width - BOX_WIDTH for each in boxes)
    assert all(0 <= each.y <= placed.height - BOX_HEIGHT for each in boxes)
    for one, other in combinations(boxes, 2):
        assert abs(one.x - other.x) >= BOX_WIDTH or abs(one.y - other.y) >= BOX_HEIGHT


def test_every_dependency_has_an_arrow() -> None:
    """Names that are no nodes have none."""
    assert len(layout({"a": [], "b": ["a"], "c": ["a", "b", "elsewhere"]}).paths) == 3


def test_a_graph_that_cannot_be_is_drawn_somehow() -> None:
    """A cycle must not hang the page."""
    assert set(layout({"a": ["b"], "b": ["a"], "c": ["c"]}).spots) == {"a", "b", "c"}


def test_an_empty_graph_has_a_picture() -> None:
    """Of nothing."""
    placed = layout({})
    assert placed.spots == {}
    assert placed.width > 0
    assert placed.height > 0
