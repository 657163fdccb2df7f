"""How outcomes reach those who watch and those who await them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import cast

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.work_item import OutboxPage, StoredOutcome
from bloge_server.services.outcomes import News, Outcomes, OutcomeWatch, Source
from bloge_server.store.redis_store import RedisStore

from . import stored

TOPIC = (stored.NAMESPACE, stored.TOPIC)
SOURCE: Source = (TOPIC, "group")
OTHER: Source = (TOPIC, "other")


def nothing() -> None:
    """Do nothing."""


class Outboxes:
    """A store of outcomes in memory, read in pages of two."""

    def __init__(self) -> None:
        self.outcomes: defaultdict[str, list[tuple[int, StoredOutcome]]] = defaultdict(list)
        self.found: dict[str, StoredOutcome | None] = {}
        self.failures: list[RemoteWorkersError] = []
        self.on_read: Callable[[], None] = nothing
        self._place = 0

    def emit(self, group: str, *item_ids: str) -> None:
        """Add outcomes to a group's outbox."""
        for item_id in item_ids:
            self._place += 1
            self.outcomes[group].append((self._place, stored.outcome(item_id)))

    async def read_outbox(self, namespace: str, topic: str, group: str, *, after: int, limit: int) -> OutboxPage:
        """Return a page."""
        del namespace, topic, limit
        await asyncio.sleep(0)
        self.on_read()
        if self.failures:
            raise self.failures.pop()
        left = [each for each in self.outcomes[group] if each[0] > after]
        page = left[:2]
        return OutboxPage(page[-1][0] if page else after, len(left) > len(page), [outcome for _, outcome in page])

    async def await_outcome(self, namespace: str, topic: str, item_id: str) -> tuple[str, StoredOutcome | None]:
        """Return where an item stands."""
        del namespace, topic
        self.on_read()
        if item_id not in self.found:
            return "NOT_FOUND", None
        outcome = self.found[item_id]
        return ("WAITING" if outcome is None else "DONE"), outcome


@pytest.fixture
def outboxes() -> Outboxes:
    """Return an empty store."""
    return Outboxes()


@pytest.fixture
async def watch(outboxes: Outboxes) -> OutcomeWatch:
    """Return a watcher of the store."""
    return OutcomeWatch(cast("RedisStore", outboxes))


def ids(news: News) -> list[str]:
    """Return the items of the outcomes that news bring."""
    return [outcome.item_id for outcome in news.outcomes]


async def quiet(watch: OutcomeWatch) -> bool:
    """Return whether a watcher has nothing to tell once everything that can happen has happened."""
    waiting = asyncio.ensure_future(watch.next())
    for _ in range(20):
        await asyncio.sleep(0)
    done = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return not done


async def test_what_is_there_comes_at_once(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Adding a source brings its outcomes, and that it was read to its end."""
    outboxes.emit("group", "a", "b")
    watch.add([SOURCE])
    news = await watch.next()
    assert (news.source, ids(news), news.caught_up) == (SOURCE, ["a", "b"], True)


async def test_an_empty_outbox_says_that_it_is_caught_up_once(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """A pair is caught up for the first time only once, even if nothing was there."""
    watch.add([SOURCE])
    assert (await watch.next()).caught_up
    watch.poke(SOURCE)
    assert await quiet(watch)
    outboxes.emit("group", "a")
    watch.poke(SOURCE)
    news = await watch.next()
    assert (ids(news), news.caught_up) == (["a"], False)


async def test_a_long_outbox_is_caught_up_on_its_last_page(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Pages follow one another, and the last one says that the outbox has been read to its end."""
    outboxes.emit("group", "a", "b", "c", "d", "e")
    watch.add([SOURCE])
    pages = [await watch.next() for _ in range(3)]
    assert [ids(page) for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    assert [page.caught_up for page in pages] == [False, False, True]


async def test_new_outcomes_come_when_they_are_heralded(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Only what came since is sent."""
    outboxes.emit("group", "a")
    watch.add([SOURCE])
    await watch.next()
    assert await quiet(watch)
    outboxes.emit("group", "b")
    watch.poke(SOURCE)
    assert ids(await watch.next()) == ["b"]


async def test_news_of_other_sources_are_not_heard(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """A watcher reads the outboxes that it asked for."""
    outboxes.emit("other", "a")
    watch.poke(OTHER)
    assert await quiet(watch)


async def test_a_removed_source_is_read_no_more(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """What was pending for it is dropped."""
    outboxes.emit("group", "a")
    watch.add([SOURCE])
    watch.remove([SOURCE])
    assert await quiet(watch)


async def test_a_source_removed_while_it_is_read_tells_nothing(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """The answer to a question that nobody asks any more is dropped."""
    outboxes.emit("group", "a")
    watch.add([SOURCE])
    outboxes.on_read = lambda: watch.remove([SOURCE])
    assert await quiet(watch)


async def test_a_source_added_again_while_it_is_read_begins_anew(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Adding a pair again brings everything unacknowledged, whatever was being read at that moment."""
    outboxes.emit("group", "a", "b")
    watch.add([SOURCE])
    await watch.next()
    outboxes.emit("group", "c")
    watch.poke(SOURCE)

    def add_again() -> None:
        outboxes.on_read = nothing
        watch.add([SOURCE])

    outboxes.on_read = add_again
    assert [ids(await watch.next()) for _ in range(2)] == [["a", "b"], ["c"]]


async def test_a_failed_read_is_told_and_nothing_is_lost(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """The watcher's stream ends with the error; a later look finds the same news."""
    outboxes.emit("group", "a")
    outboxes.failures.append(RemoteWorkersError(Reason.STORE_UNAVAILABLE, "gone"))
    watch.add([SOURCE])
    with pytest.raises(RemoteWorkersError, match="gone"):
        await watch.next()
    assert ids(await watch.next()) == ["a"]


async def test_sources_take_turns(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """A long outbox does not hold up a short one."""
    outboxes.emit("group", "a", "b", "c")
    outboxes.emit("other", "x")
    watch.add([SOURCE, OTHER])
    assert [ids(await watch.next()) for _ in range(3)] == [["a", "b"], ["x"], ["c"]]


@pytest.fixture
async def outcomes(outboxes: Outboxes) -> Outcomes:
    """Return all who wait for outcomes of the store."""
    return Outcomes(cast("RedisStore", outboxes))


async def test_every_watcher_of_a_group_hears_of_an_outcome(outcomes: Outcomes, outboxes: Outboxes) -> None:
    """Heralds go to the watchers of that topic and group, until they are unwatched."""
    watches = [outcomes.watch() for _ in range(3)]
    for each in watches:
        each.add([SOURCE])
        await each.next()
    outcomes.unwatch(watches[2])
    outboxes.emit("group", "a")
    outcomes.heralded(TOPIC, "group")
    assert [ids(await each.next()) for each in watches[:2]] == [["a"], ["a"]]
    assert await quiet(watches[2])


async def test_a_topic_that_is_listened_to_from_now_on_is_looked_at_again(
    outcomes: Outcomes, outboxes: Outboxes
) -> None:
    """Only the sources of that topic."""
    watch = outcomes.watch()
    watch.add([SOURCE])
    await watch.next()
    outboxes.emit("group", "a")
    outcomes.look_again(("elsewhere", "topic"))
    assert await quiet(watch)
    outcomes.look_again(TOPIC)
    assert ids(await watch.next()) == ["a"]


async def test_the_topics_that_somebody_waits_for_are_known(outcomes: Outcomes, outboxes: Outboxes) -> None:
    """Watched or awaited; a server listens to no others."""
    elsewhere = ("elsewhere", "topic")
    watch = outcomes.watch()
    watch.add([SOURCE, OTHER, (elsewhere, "group")])
    watch.remove([SOURCE, (elsewhere, "group")])
    assert outcomes.topics == {TOPIC}
    watch.remove([OTHER])
    assert outcomes.topics == set()
    outboxes.found["a"] = None
    waiting = asyncio.ensure_future(outcomes.await_outcome(elsewhere, "a", 60))
    await asyncio.sleep(0)
    assert outcomes.topics == {elsewhere}
    outboxes.found["a"] = stored.outcome("a")
    outcomes.done(elsewhere, "a")
    await waiting
    assert outcomes.topics == set()


async def test_an_outcome_that_is_there_is_returned_at_once(outcomes: Outcomes, outboxes: Outboxes) -> None:
    """Even without time to wait."""
    outboxes.found["a"] = stored.outcome("a")
    for seconds in (0, 60):
        found = await outcomes.await_outcome(TOPIC, "a", seconds)
        assert found is not None
        assert found.item_id == "a"


async def test_an_outcome_is_awaited_until_it_is_heralded(outcomes: Outcomes, outboxes: Outboxes) -> None:
    """Who awaits an item is woken by its herald."""
    outboxes.found["a"] = None
    waiting = asyncio.ensure_future(outcomes.await_outcome(TOPIC, "a", 60))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    outboxes.found["a"] = stored.outcome("a")
    outcomes.done(TOPIC, "other")
    outcomes.done(TOPIC, "a")
    found = await waiting
    assert found is not None
    assert outcomes._awaited == {}


async def test_a_lost_herald_of_an_awaited_item_is_made_up_for(outcomes: Outcomes, outboxes: Outboxes) -> None:
    """When a topic is heard again, everybody who awaits something of it looks again."""
    outboxes.found["a"] = None
    waiting = asyncio.ensure_future(outcomes.await_outcome(TOPIC, "a", 60))
    for _ in range(5):
        await asyncio.sleep(0)
    outboxes.found["a"] = stored.outcome("a")
    outcomes.look_again(TOPIC)
    assert await waiting is not None


async def test_without_an_outcome_in_time_there_is_none(outcomes: Outcomes, outboxes: Outboxes) -> None:
    """Waiting ends with nothing, and leaves nothing behind."""
    outboxes.found["a"] = None
    assert await outcomes.await_outcome(TOPIC, "a", 0) is None
    assert outcomes._awaited == {}


async def test_an_unknown_item_is_not_awaited(outcomes: Outcomes) -> None:
    """The refusal names item and topic."""
    with pytest.raises(RemoteWorkersError, match=r"'nobody' in topic 'topic'") as refused:
        await outcomes.await_outcome(TOPIC, "nobody", 60)
    assert refused.value.reason is Reason.NOT_FOUND
