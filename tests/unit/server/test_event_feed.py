"""Streams of several topics as one: in order, nothing twice, nothing left out, wherever somebody goes on."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.services import event_feed
from bloge_server.services.event_feed import EventReader, News, Place, Wanted
from bloge_server.store.events import Entry, EventId, ItemEvent, Part


class Streams:
    """Topics in memory, with a clock that the test sets.

    Args:
        entries: ms, topic and number of events of each entry.
    """

    def __init__(self, entries: Iterable[tuple[int, str, int]] = ()) -> None:
        self.now = 0
        self._topics: dict[str, list[Entry]] = {"a": [], "b": [], "c": []}
        for ms, topic, size in entries:
            self.add(ms, topic, size)

    def add(self, ms: int, topic: str, size: int = 1) -> None:
        """Write an entry."""
        entries = self._topics[topic]
        number = sum(entry.event_id.ms == ms for entry in entries)
        names = [f"{topic}-{ms}-{number}-{index}" for index in range(size)]
        told = [ItemEvent("claimed", "", name, f"w{index % 2}", 1, "") for index, name in enumerate(names)]
        entries.append(Entry(EventId(ms, number), told))

    async def topics(self) -> list[str]:
        """Return the topics."""
        return list(self._topics)

    async def read(self, topic: str, after: EventId | None, limit: int) -> Part:
        """Read as the store does."""
        entries = self._topics[topic]
        if after is None:
            return Part(self.now, entries[-limit:], is_full=False)
        found = [entry for entry in entries if entry.event_id > after][:limit]
        return Part(self.now, found, len(found) == limit)

    def reader(self, wanted: Wanted | None = None) -> EventReader:
        """Return a reader of all of them."""
        return EventReader(self.topics, self.read, wanted or Wanted())


def ids(news: News) -> list[str]:
    """Return the items of events."""
    return [told.event.item_id for told in news.events]


async def test_events_of_topics_come_in_the_order_of_time() -> None:
    """And within a millisecond in turn, each topic's in its own order."""
    streams = Streams([(1, "b", 1), (2, "b", 2), (2, "a", 1), (2, "a", 1), (3, "c", 1)])
    streams.now = 10
    news = await streams.reader().after(Place(0, 0))
    assert ids(news) == ["b-1-0-0", "a-2-0-0", "b-2-0-0", "b-2-0-1", "a-2-1-0", "c-3-0-0"]
    assert news.place == Place(10, 0)


async def test_what_may_have_company_is_held_back() -> None:
    """An event of this very millisecond may be followed by one of another topic that was read before."""
    streams = Streams([(5, "b", 1)])
    streams.now = 5
    reader = streams.reader()
    first = await reader.after(Place(0, 0))
    assert (ids(first), first.place) == ([], Place(5, 0))
    streams.add(5, "a")
    streams.now = 6
    assert ids(await reader.after(first.place)) == ["a-5-0-0", "b-5-0-0"]


async def test_the_latest_events_are_told_first() -> None:
    """As many as were asked for, then what follows."""
    streams = Streams([(1, "a", 3), (2, "b", 3)])
    streams.now = 5
    reader = streams.reader()
    news = await reader.latest(4)
    assert ids(news) == ["a-1-0-2", "b-2-0-0", "b-2-0-1", "b-2-0-2"]
    assert ids(await reader.latest(0)) == []
    streams.add(7, "c")
    streams.now = 9
    assert ids(await reader.after(news.place)) == ["c-7-0-0"]


async def test_only_what_is_wanted_is_told() -> None:
    """Places count what is not wanted too, so that a filter may change on the way."""
    streams = Streams([(1, "a", 4)])
    streams.now = 5
    some = await streams.reader(Wanted(worker_id="w1")).after(Place(0, 0))
    assert [told.place for told in some.events] == [Place(1, 2), Place(1, 4)]
    assert ids(await streams.reader().after(Place(1, 2))) == ["a-1-0-2", "a-1-0-3"]
    assert ids(await streams.reader(Wanted(kinds=frozenset({"outcome"}))).after(Place(0, 0))) == []
    assert ids(await streams.reader(Wanted(item_id="a-1-0-3")).after(Place(0, 0))) == ["a-1-0-3"]


_entries = st.lists(st.tuples(st.integers(1, 6), st.sampled_from("abc"), st.integers(1, 3)), max_size=25)


@given(entries=_entries, limit=st.integers(9, 12), stops=st.lists(st.integers(0, 40), max_size=6))
def test_whoever_goes_on_misses_nothing_and_meets_nothing_twice(
    entries: list[tuple[int, str, int]], limit: int, stops: list[int]
) -> None:
    """Wherever a reader stops, behind any event, while streams grow and are read piece by piece."""
    ordered = sorted(entries)
    streams = Streams()
    told: list[str] = []

    async def read_on() -> None:
        place = Place(0, 0)
        written = 0
        for now in range(1, 9):
            while written < len(ordered) and ordered[written][0] <= now:
                streams.add(*ordered[written])
                written += 1
            streams.now = now
            for _ in range(30):
                news = await streams.reader().after(place)
                kept = news.events[: stops.pop() if stops else None]
                told.extend(each.event.item_id for each in kept)
                place = news.place if len(kept) == len(news.events) else (kept[-1].place if kept else place)
                if not news.more and len(kept) == len(news.events):
                    break

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_feed, "_ENTRIES", limit)
        asyncio.run(read_on())
    expected = Streams(ordered)
    expected.now = 100
    assert told == ids(asyncio.run(expected.reader().after(Place(0, 0))))


@pytest.mark.parametrize("text", ["", "1", "1-", "a-b", "1-2-3", "-1-1", "1" * 30 + "-0"])
def test_a_place_that_is_none_is_told(text: str) -> None:
    """With the field that it stood in."""
    with pytest.raises(RemoteWorkersError) as refused:
        Place.parse(text)
    assert refused.value.reason is Reason.INVALID_FIELD
    assert refused.value.fields[0].field == "position"


def test_a_place_travels_as_text() -> None:
    """And comes back as it was."""
    assert Place.parse(str(Place(1_700_000_000_000, 7))) == Place(1_700_000_000_000, 7)
