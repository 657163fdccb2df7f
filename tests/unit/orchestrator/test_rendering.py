"""Pictures of graphs."""

import re
from collections.abc import Iterable
from itertools import combinations, pairwise
from random import Random
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloge_orchestrator import GraphSpec
from bloge_orchestrator.compiler import read_source
from bloge_orchestrator.rendering import mermaid, svg
from bloge_orchestrator.rendering.layers import Place, place
from bloge_orchestrator.rendering.ways import Ways
from support.graph_files import FilesInMemory
from support.graph_texts import ENRICH, EVERYTHING

SVG = "{http://www.w3.org/2000/svg}"


def spec(body: str) -> GraphSpec:
    """Read a graph of these members."""
    return read_source(f"graph g {{\n{body}\n}}", filename="g.bloge")


def everything() -> GraphSpec:
    """Read the graph with every construct."""
    return read_source(EVERYTHING, filename="everything.bloge", files=FilesInMemory({"enrich.bloge": ENRICH}))


def drawn(graph: GraphSpec) -> ET.Element:
    """Draw a graph; it must be well-formed XML."""
    return ET.fromstring(svg(graph))


def texts(element: ET.Element, kind: str) -> list[str]:
    """Return the texts of a class."""
    found = (each for each in element.iter(f"{SVG}text") if kind in str(each.get("class")).split())
    return ["".join(each.itertext()) for each in found]


def test_a_remote_node_is_marked_with_its_worker_topic() -> None:
    """In both kinds of picture, and no other node is."""
    graph = spec(
        'node a : Op { timeout = 1s }\nnode b : Far { execution_mode = remote worker_topic = "gpu" depends_on = [a] }'
    )
    groups = {group.get("class"): texts(group, "title") for group in drawn(graph).iter(f"{SVG}g")}
    assert groups == {"local": ["a"], "remote": ["b"]}
    assert texts(drawn(graph), "topic") == ["worker topic gpu"]
    written = mermaid(graph)
    assert 'n2[["b<br/>Far<br/>worker topic gpu"]]' in written
    assert "  n1 --> n2\n" in written
    assert "  class n2 remote\n" in written


def test_everything_there_is_has_a_place() -> None:
    """Every node once, what is inside others too; every condition of a branch; every dependency."""
    picture = drawn(everything())
    titles = texts(picture, "title")
    around = ["load", "branch", "branch", "quick", "slow", "audit", "label", "enriched", "report"]
    inside = ["infer", "deep", "upperCase", "branch", "keep", "each", "fetch", "scaled", "fetch", "scaled"]
    assert sorted(titles) == sorted([*around, *inside])
    assert "small, otherwise" in texts(picture, "label")
    assert {"for each part, i in load.output.items", "50 at a time", "one at a time"} <= set(texts(picture, "line"))
    assert "graph enrich, sees what is around" in texts(picture, "line")


def test_mermaid_nests_what_is_inside() -> None:
    """A foreach and a sub-graph are frames, with as many ends."""
    written = mermaid(everything())
    assert written.startswith("flowchart TD\n%% graph everything\n")
    assert len(re.findall(r"^\s*subgraph ", written, re.MULTILINE)) == len(
        re.findall(r"^\s*end$", written, re.MULTILINE)
    )


def test_texts_cannot_break_out_of_a_picture() -> None:
    """Whatever a graph says, it is shown as text, or as a mark for what cannot be shown."""
    value = '"a<b>&\\"\']};#|`\\u0000\\ud83d\\ude00é"'
    graph = spec(f"branch on ctx.x {{ {value} -> a }}\ntransform a {{}}")
    assert texts(drawn(graph), "label") == ["a<b>&\"']};#|`\N{REPLACEMENT CHARACTER}\N{GRINNING FACE}é"]
    (line,) = [line for line in mermaid(graph).splitlines() if "-.->" in line]
    assert re.fullmatch(r'  n1 -\.->\|"[\w #;.,:+*/=-]+"\| n2', line)


def test_long_lines_are_cut() -> None:
    """A picture shows what a graph does, its text says how."""
    graph = spec(f"branch on {'x' * 100} {{ 1 -> a }}\ntransform a {{}}\ntransform {'x' * 100} {{}}")
    assert all(len(line) <= 60 for line in texts(drawn(graph), "line"))


@pytest.mark.parametrize("number", [1, 2, 300])
def test_a_long_chain_is_drawn(number: int) -> None:
    """Without running out of anything."""
    nodes = "\n".join(
        f"transform t{n} {{ x = {f't{n - 1}.x' if n else 1} first = {'t0.x' if n else 1} }}" for n in range(number)
    )
    assert len(texts(drawn(spec(nodes)), "title")) == number


@given(st.integers(0, 2**32))
def test_boxes_do_not_touch_and_arrows_lead_down_beside_them(seed: int) -> None:
    """Whatever their sizes and arrows: boxes keep their distance, an arrow is upright where boxes are beside it."""
    random = Random(seed)
    names = [f"n{number}" for number in range(random.randint(1, 12))]
    sizes = {name: (random.uniform(10, 300), random.uniform(10, 100)) for name in names}
    arrows = [(one, other) for one, other in combinations(names, 2) if random.random() < 0.3]
    placed = place(sizes, arrows, beside=20, between=30)
    _check_distances(placed.places.values())
    ways = Ways(placed)
    for number, (start, end) in enumerate(arrows):
        points = ways.points(number)
        assert points[0][1] == placed.places[start].y + sizes[start][1]
        assert points[-1][1] == placed.places[end].y
        assert [y for _, y in points] == sorted(y for _, y in points)
        for (x, y), (to_x, to_y) in pairwise(points):
            inside = any(upper <= y and to_y <= lower for upper, lower in placed.layers)
            assert x == to_x or not inside
        for (x, y), (_, to_y) in zip(points[1:-2:2], points[2:-1:2], strict=False):
            assert not any(_stands_in(placed.places[name], x, y, to_y) for name in names)


def _check_distances(places: Iterable[Place]) -> None:
    for one, other in combinations(places, 2):
        if one.layer == other.layer:
            assert abs(one.x - other.x) - (one.width + other.width) / 2 >= 20 - 1e-6
        else:
            assert one.y + one.height <= other.y or other.y + other.height <= one.y


def _stands_in(box: Place, x: float, upper: float, lower: float) -> bool:
    beside = not box.x - box.width / 2 < x < box.x + box.width / 2
    return not beside and box.y < lower and upper < box.y + box.height
