"""Who is here, as the store is told, and who was asked to leave."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import cast

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.services.presence import Presence
from bloge_server.store.workers import WorkerCard, WorkerList

CARD = WorkerCard("w1", ("topic",), 4, "sdk")


@dataclass
class Book:
    """A list of workers that remembers what it was told."""

    asked: set[str] = field(default_factory=set)
    told: list[tuple[str, list[WorkerCard], list[WorkerCard]]] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    away: bool = False

    async def note(
        self,
        namespace: str,
        cards: Collection[WorkerCard],
        brief: Collection[WorkerCard] = (),
        unchanged: Collection[str] = (),
    ) -> tuple[int, set[str]]:
        """Take note."""
        if self.away:
            raise RemoteWorkersError(Reason.STORE_UNAVAILABLE, "gone")
        self.told.append((namespace, list(cards), list(brief)))
        self.unchanged = sorted(unchanged)
        return 7, set(self.asked)


@pytest.fixture
def book() -> Book:
    """Return an empty list."""
    return Book()


@pytest.fixture
def presence(book: Book) -> Presence:
    """Return what keeps it current."""
    return Presence(cast("WorkerList", book))


async def test_a_registration_is_told_at_once(presence: Presence, book: Book) -> None:
    """And says when that was."""
    assert await presence.register("ns", CARD) == 7
    assert book.told == [("ns", [CARD], [])]


async def test_all_workers_of_a_namespace_share_one_call(presence: Presence, book: Book) -> None:
    """A thousand sessions cost a call, not a thousand."""
    here = [("ns", CARD._replace(worker_id=f"w{number}")) for number in range(1000)]
    presence.watch(lambda: here, lambda *_: None)
    await presence.tell_store()
    assert book.told == [("ns", [card for _, card in here], [])]


async def test_what_did_not_change_is_not_told_again(presence: Presence, book: Book) -> None:
    """Only that the workers are still there; what could not be told is told again."""
    here = [("ns", CARD), ("ns", CARD._replace(worker_id="w2"))]
    presence.watch(lambda: here, lambda *_: None)
    await presence.tell_store()
    here[1] = ("ns", CARD._replace(worker_id="w2", held=3))
    await presence.tell_store()
    assert (book.told[-1], book.unchanged) == (("ns", [here[1][1]], []), ["w1"])
    book.away = True
    await presence.tell_store()
    book.away = False
    await presence.tell_store()
    assert (book.told[-1], book.unchanged) == (("ns", [card for _, card in here], []), [])


async def test_claims_are_signs_of_life(presence: Presence, book: Book) -> None:
    """Once each, with every topic that was claimed from."""
    presence.claimed("ns", "w1", "a")
    presence.claimed("ns", "w1", "b")
    presence.claimed("ns", "w1", "a")
    await presence.tell_store()
    await presence.tell_store()
    assert book.told == [("ns", [], [WorkerCard("w1", ("a", "b"))])]


async def test_nobody_here_costs_nothing(presence: Presence, book: Book) -> None:
    """An idle server leaves the store alone."""
    await presence.tell_store()
    assert book.told == []


async def test_a_lost_herald_is_made_up_for(presence: Presence, book: Book) -> None:
    """Whoever was asked to leave is told when the list is next brought up to date."""
    left: list[tuple[str, str]] = []
    presence.watch(lambda: [("ns", CARD)], lambda namespace, worker_id: left.append((namespace, worker_id)))
    book.asked = {"w1", "elsewhere"}
    await presence.tell_store()
    assert left == [("ns", "w1")]
    assert presence.is_asked_to_leave("ns", "elsewhere")


async def test_a_herald_counts_at_once(presence: Presence) -> None:
    """For claims as for sessions, in its namespace only."""
    left: list[tuple[str, str]] = []
    presence.watch(tuple, lambda namespace, worker_id: left.append((namespace, worker_id)))
    presence.heralded(("ns", "topic"), "w1")
    assert left == [("ns", "w1")]
    assert presence.is_asked_to_leave("ns", "w1")
    assert not presence.is_asked_to_leave("other", "w1")


async def test_a_store_that_is_away_keeps_what_is_known(presence: Presence, book: Book) -> None:
    """The next round tells it again."""
    presence.watch(lambda: [("ns", CARD)], lambda *_: None)
    presence.heralded(("ns", "topic"), "w1")
    book.away = True
    await presence.tell_store()
    assert presence.is_asked_to_leave("ns", "w1")
    book.away, book.asked = False, {"w1"}
    await presence.tell_store()
    assert book.told == [("ns", [CARD], [])]
