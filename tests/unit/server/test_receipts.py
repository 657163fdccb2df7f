"""How receipts reach the store: late, together, and only where no report said more."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Receipt, Verdict
from bloge_server.rpc.receipts import MOST_WAIT_SECONDS, Receipts
from bloge_server.store.redis_store import RedisStore
from bloge_worker._session import CONFIRM_AFTER

OFFER_SECONDS = 1.25
WAIT_MS = 125
"""A tenth of it."""


class Moments:
    """A clock that goes on by what is slept, at once."""

    def __init__(self) -> None:
        self.now = 100.0
        self.on_sleep: list[float] = []

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.on_sleep.append(seconds)
        self.now += max(0.0, seconds)


class Taken:
    """A store that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[tuple[str, int]]]] = []
        self.refuses: dict[str, Reason] = {}
        self.is_away = False

    async def receive(self, _namespace: str, topic: str, receipts: Sequence[Receipt]) -> list[Verdict]:
        """Confirm offers."""
        if self.is_away:
            raise RemoteWorkersError(Reason.STORE_UNAVAILABLE, "away")
        self.calls.append((topic, [(token.item_id, age_ms) for token, age_ms in receipts]))
        return [Verdict(self.refuses.get(token.item_id)) for token, _ in receipts]


class Session:
    """Receipts of a session, with a time and a store of the test's own."""

    def __init__(self, offer_seconds: float = OFFER_SECONDS) -> None:
        self.moments, self.store = Moments(), Taken()
        self.refused: list[tuple[str, Reason]] = []
        self.receipts = Receipts(
            cast("RedisStore", self.store),
            offer_seconds,
            self.moments,
            lambda token, reason: self.refused.append((token.item_id, reason)),
        )

    async def told(self) -> list[tuple[str, list[tuple[str, int]]]]:
        """Return what the store is told of everything that came."""
        while (telling := self.receipts.telling) is not None:
            await telling
        return self.store.calls


Opens = Callable[..., Session]


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Opens:
    """Return what makes a session whose sleeps pass at once."""

    def made(**settings: float) -> Session:
        session = Session(**settings)
        monkeypatch.setattr(asyncio, "sleep", session.moments.sleep)
        return session

    return made


@pytest.fixture
def session(opens: Opens) -> Session:
    """Return a session."""
    return opens()


def token(item_id: str, topic: str = "t") -> LeaseToken:
    """Return the token of a lease."""
    return LeaseToken("ns", topic, f"{item_id}/7/nonce")


async def test_a_receipt_waits_for_a_tenth_of_its_offer(session: Session) -> None:
    """And says how long it has waited."""
    session.receipts.came([token("a")])
    assert await session.told() == [("t", [("a", WAIT_MS)])]
    assert session.moments.on_sleep == [WAIT_MS / 1000]


async def test_a_receipt_never_waits_so_long_that_a_worker_believes_too_much(opens: Opens) -> None:
    """A frame half a second after a receipt says that the store knows: with the call itself that must be true."""
    session = opens(offer_seconds=60.0)
    session.receipts.came([token("a")])
    assert await session.told() == [("t", [("a", MOST_WAIT_SECONDS * 1000)])]
    assert MOST_WAIT_SECONDS <= CONFIRM_AFTER / 2


async def test_a_receipt_waits_for_its_own_time_if_the_one_before_it_is_reported(session: Session) -> None:
    """Else each report of a busy worker would cost a call for what comes behind it."""
    session.receipts.came([token("a")])
    session.moments.now += 0.03125
    session.receipts.came([token("b")])
    session.receipts.reported([token("a")])
    assert await session.told() == [("t", [("b", WAIT_MS)])]


async def test_a_report_makes_a_receipt_needless(session: Session) -> None:
    """What is done before costs no call."""
    session.receipts.came([token("a"), token("b")])
    session.receipts.reported([token("a")])
    session.receipts.reported([token("stranger")])
    assert await session.told() == [("t", [("b", WAIT_MS)])]


async def test_receipts_that_came_soon_after_go_together(session: Session) -> None:
    """Younger ones wait for their own time."""
    for item_id, later in (("a", 0.0), ("b", 0.0625), ("c", 0.03125)):
        session.moments.now += later
        session.receipts.came([token(item_id)])
    assert await session.told() == [("t", [("a", WAIT_MS), ("b", WAIT_MS // 2)]), ("t", [("c", WAIT_MS)])]


async def test_a_receipt_that_comes_twice_is_as_old_as_the_first(session: Session) -> None:
    """Repeating it makes no lease longer."""
    session.receipts.came([token("a")])
    session.moments.now += 0.0625
    session.receipts.came([token("a")])
    assert await session.told() == [("t", [("a", WAIT_MS)])]


async def test_each_topic_has_a_call_of_its_own(session: Session) -> None:
    """Scripts touch one topic."""
    session.receipts.came([token("a", "s"), token("b", "t"), token("c", "s")])
    assert await session.told() == [("s", [("a", WAIT_MS), ("c", WAIT_MS)]), ("t", [("b", WAIT_MS)])]


async def test_what_was_taken_back_is_said(session: Session) -> None:
    """The session learns which leases do not stand, and why."""
    session.store.refuses["b"] = Reason.OFFER_WITHDRAWN
    session.receipts.came([token("a"), token("b")])
    await session.told()
    assert session.refused == [("b", Reason.OFFER_WITHDRAWN)]


async def test_a_store_that_is_away_costs_the_receipts_only(session: Session) -> None:
    """The offers lapse at no cost, and what comes later is told as ever."""
    session.store.is_away = True
    session.receipts.came([token("a")])
    assert await session.told() == []
    session.store.is_away = False
    session.receipts.came([token("b")])
    assert await session.told() == [("t", [("b", WAIT_MS)])]
    assert session.refused == []
