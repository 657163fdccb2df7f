"""The live journal: what happens comes as it happens, and goes on where a browser was."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.visitor import Visitor
from support.wire import Wire


class Tail:
    """A stream of events.

    Args:
        lines: of the response.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.last_id = ""

    def kinds(self, count: int) -> list[str]:
        """Return what happened next, so many events."""
        found: list[str] = []
        while len(found) < count:
            line = next(self._lines)
            if line.startswith("id: "):
                self.last_id = line.removeprefix("id: ")
            if line.startswith("data: "):
                found += [f"{each['kind']} {each['itemId']}" for each in json.loads(line.removeprefix("data: "))]
        return found


@contextmanager
def tail(visitor: Visitor, **query: Any) -> Iterator[Tail]:
    """Open the stream."""
    given = {"namespace": visitor.namespace, **query}
    with visitor.http.stream("GET", "/console/journal/events", params=given) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Tail(response.iter_lines())


def test_what_happened_and_what_happens(visitor: Visitor, wire: Wire) -> None:
    """The latest first, then as it comes."""
    wire.put("a")
    with tail(visitor) as events:
        assert events.kinds(1) == ["enqueued a"]
        wire.complete(wire.claim_one())
        assert events.kinds(2) == ["claimed a", "outcome a"]


def test_a_view_goes_on_where_it_was(visitor: Visitor, wire: Wire) -> None:
    """By the browser's own header, or by the address."""
    wire.put("a")
    with tail(visitor) as events:
        events.kinds(1)
        place = events.last_id
    wire.put("b")
    with tail(visitor, after=place) as events:
        assert events.kinds(1) == ["enqueued b"]
    given = {"namespace": visitor.namespace}
    with visitor.http.stream(
        "GET", "/console/journal/events", params=given, headers={"Last-Event-ID": place}
    ) as response:
        assert Tail(response.iter_lines()).kinds(1) == ["enqueued b"]


def test_a_view_is_filtered(visitor: Visitor, wire: Wire) -> None:
    """By topic, item, worker, execution and kind."""
    wire.put("a", "b", reply_group="exe")
    wire.put("c", worker_topic="other")
    wire.claim(2)
    for query, expected in (
        ({"topic": "other"}, ["enqueued c"]),
        ({"item": "b"}, ["enqueued b", "claimed b"]),
        ({"worker": "w1"}, ["claimed a", "claimed b"]),
        ({"execution": "exe", "kind": "enqueued"}, ["enqueued a", "enqueued b"]),
    ):
        with tail(visitor, **query) as events:
            assert events.kinds(len(expected)) == expected


def test_the_page_knows_its_stream(visitor: Visitor) -> None:
    """With the filter that it has."""
    page = visitor.see("/journal", topic="t1", kind="retry")
    (source,) = [told["data-source"] for _, told in page.tags if "data-source" in told]
    assert source == f"/console/journal/events?namespace={visitor.namespace}&topic=t1&kind=retry"
