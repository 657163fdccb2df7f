"""How outcomes reach those who watch and those who await them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.work_item import Emission, OutboxPage, StoredOutcome
from bloge_server.services.outcomes import News, Outcomes, OutcomeWatch, Source
from bloge_server.store.handover import Handover
from bloge_server.store.redis_store import OUTBOX_BYTES, RedisStore

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
        self.handover = Handover()
        self.reads = 0
        self._place = 0

    def emit(self, group: str, *item_ids: str) -> None:
        """Add outcomes to a group's outbox."""
        for item_id in item_ids:
            self._place += 1
            self.outcomes[group].append((self._place, stored.outcome(item_id)))

    def told(self, *item_ids: str, group: str = "group") -> Emission:
        """Add outcomes to a group's outbox; return what the call that wrote them tells."""
        before = max((place for place, _ in self.outcomes[group]), default=0)
        self.emit(group, *item_ids)
        return Emission(TOPIC, group, before, self._place, [stored.outcome(item_id) for item_id in item_ids])

    async def read_outbox(self, namespace: str, topic: str, group: str, *, after: int, limit: int) -> OutboxPage:
        """Return a page."""
        del namespace, topic, limit
        self.reads += 1
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


async def begun(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Watch the source, caught up, with no reads counted."""
    watch.add([SOURCE])
    assert (await watch.next()).caught_up
    outboxes.reads = 0


async def test_outcomes_that_are_handed_over_are_not_read(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Those of several calls come together, once, and what comes later is read behind them."""
    await begun(watch, outboxes)
    watch.take(SOURCE, outboxes.told("a", "b"))
    watch.take(SOURCE, outboxes.told("c"))
    assert ids(await watch.next()) == ["a", "b", "c"]
    assert outboxes.reads == 0
    outboxes.emit("group", "d")
    watch.poke(SOURCE)
    assert ids(await watch.next()) == ["d"]
    assert await quiet(watch)


async def test_a_gap_before_what_is_handed_over_is_read(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Another server's outcome stands between: both are read, each once."""
    await begun(watch, outboxes)
    outboxes.emit("group", "elsewhere")
    watch.take(SOURCE, outboxes.told("here"))
    assert ids(await watch.next()) == ["elsewhere", "here"]
    assert await quiet(watch)


async def test_replies_that_overtake_each_other_lose_nothing(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """The later one shows a gap; what the earlier one brings then is not read again."""
    await begun(watch, outboxes)
    first, second = outboxes.told("a"), outboxes.told("b")
    watch.take(SOURCE, second)
    watch.take(SOURCE, first)
    assert [ids(await watch.next()) for _ in range(2)] == [["a"], ["b"]]
    assert await quiet(watch)


async def test_a_reply_that_a_read_overtook_brings_nothing_again(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Neither its outcomes, nor those behind them."""
    await begun(watch, outboxes)
    late = outboxes.told("a")
    outboxes.emit("group", "b")
    watch.poke(SOURCE)
    assert ids(await watch.next()) == ["a", "b"]
    watch.take(SOURCE, late)
    assert await quiet(watch)


async def test_a_source_that_is_read_anew_begins_at_its_beginning(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Whatever is on its way; that it is caught up is said once."""
    await begun(watch, outboxes)
    watch.take(SOURCE, outboxes.told("a"))
    assert ids(await watch.next()) == ["a"]
    outboxes.outcomes["group"] = [(1, stored.outcome("other"))]
    watch.poke(SOURCE)

    def during() -> None:
        outboxes.on_read = nothing
        watch.read_anew(TOPIC)

    outboxes.on_read = during
    assert await watch.next() == News(SOURCE, [stored.outcome("other")], caught_up=False)
    assert await quiet(watch)


async def test_what_comes_during_a_read_is_read(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Nobody knows whether the page has it already."""
    await begun(watch, outboxes)
    outboxes.emit("group", "a")
    watch.poke(SOURCE)
    late: list[Emission] = []

    def during() -> None:
        if not late:
            late.append(outboxes.told("b"))
            watch.take(SOURCE, late[0])

    outboxes.on_read = during
    assert ids(await watch.next()) == ["a", "b"]
    assert await quiet(watch)


async def test_what_the_call_could_not_tell_is_read(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """It says that there is something."""
    await begun(watch, outboxes)
    watch.take(SOURCE, outboxes.told("a")._replace(outcomes=None))
    assert ids(await watch.next()) == ["a"]


@pytest.mark.parametrize("large", ["count", "bytes"])
async def test_more_than_a_frame_holds_is_not_handed_over(watch: OutcomeWatch, outboxes: Outboxes, large: str) -> None:
    """It is read in pages."""
    await begun(watch, outboxes)
    output = bytes(OUTBOX_BYTES // 2) if large == "bytes" else b""
    for start in (0, 600):
        told = outboxes.told(*(f"i{number}" for number in range(start, start + 600)))
        assert told.outcomes is not None
        watch.take(SOURCE, told._replace(outcomes=[each._replace(output=output) for each in told.outcomes[:600]]))
    got: list[str] = []
    while len(got) < 1200:
        got += ids(await watch.next())
    assert got == [f"i{number}" for number in range(1200)]
    assert outboxes.reads >= (600 if large == "bytes" else 300)


async def test_a_watcher_that_does_not_read_is_handed_so_much_and_no_more(
    watch: OutcomeWatch, outboxes: Outboxes
) -> None:
    """Of all its sources together; the rest stays in the store until it reads, and then it is handed over again."""
    groups = [f"g{number}" for number in range(12)]
    sources: list[Source] = [(TOPIC, group) for group in groups]
    watch.add(sources)
    for _ in groups:
        assert (await watch.next()).caught_up
    outboxes.reads = 0

    def hand_over(item_id: str) -> None:
        for group, source in zip(groups, sources, strict=True):
            told = outboxes.told(item_id, group=group)
            assert told.outcomes is not None
            watch.take(source, told._replace(outcomes=[told.outcomes[0]._replace(output=bytes(OUTBOX_BYTES // 2))]))

    hand_over("a")
    assert [ids(await watch.next()) for _ in groups] == [["a"]] * len(groups)
    assert 0 < outboxes.reads < len(groups)
    hand_over("b")
    watch.remove(sources)
    watch.add(sources)
    assert [ids(await watch.next()) for _ in groups] == [["a", "b"]] * len(groups)
    outboxes.reads = 0
    hand_over("c")
    assert [ids(await watch.next()) for _ in groups] == [["c"]] * len(groups)
    assert 0 < outboxes.reads < len(groups), "what was dropped counts no more"


async def test_a_source_that_is_not_caught_up_takes_what_is_handed_over(
    watch: OutcomeWatch, outboxes: Outboxes
) -> None:
    """And still says when it is."""
    watch.add([SOURCE])
    watch.take(SOURCE, outboxes.told("a"))
    assert (await watch.next()) == News(SOURCE, [stored.outcome("a")], caught_up=False)
    assert (await watch.next()) == News(SOURCE, [], caught_up=True)


async def test_what_nobody_watches_is_not_kept(watch: OutcomeWatch, outboxes: Outboxes) -> None:
    """Neither of another source, nor of one that was removed."""
    await begun(watch, outboxes)
    watch.take(OTHER, outboxes.told("x", group="other"))
    watch.take(SOURCE, outboxes.told("a"))
    watch.remove([SOURCE])
    assert await quiet(watch)
    watch.add([SOURCE])
    assert ids(await watch.next()) == ["a"]


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
    outcomes.heralded(TOPIC, "group", "-")
    assert [ids(await each.next()) for each in watches[:2]] == [["a"], ["a"]]
    assert await quiet(watches[2])


async def test_the_echo_of_a_call_here_is_left_out(outcomes: Outcomes, outboxes: Outboxes) -> None:
    """Its reply has told. Once a call has failed nobody knows what was told, so its echo counts."""
    outboxes.handover.watchers = outcomes
    watch = outcomes.watch()
    await begun(watch, outboxes)
    origins: list[str] = []

    async def call(args: Sequence[object]) -> list[object]:
        origins.append(str(args[0]))
        if len(origins) == 2:
            raise RemoteWorkersError(Reason.STORE_UNAVAILABLE, "gone")
        return [b"ACCEPTED DONE", [b"group", b"0", 1, 0, b"1700000000000"]]

    await outboxes.handover.complete(call, TOPIC, [("a/1/n", "complete", "d", b"{}")])
    assert await quiet(watch)
    assert outboxes.reads == 1, "what it could not tell is read"
    outcomes.heralded(TOPIC, "group", origins[0])
    assert await quiet(watch)
    assert outboxes.reads == 1, "an echo"
    with pytest.raises(RemoteWorkersError):
        await outboxes.handover.complete(call, TOPIC, [("b/1/n", "complete", "d", b"{}")])
    assert await quiet(watch)
    assert outboxes.reads == 2, "it may have written"
    outboxes.emit("group", "b")
    outcomes.heralded(TOPIC, "group", origins[1])
    assert ids(await watch.next()) == ["b"]


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
