"""Journals on real stores: opened by leases, appended to once, read in pages, gone with their items."""

from collections.abc import Sequence
from typing import Any

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.execution import ExecutionStatus, Facts
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Complete
from bloge_server.domain.work_item import ClaimOrder, Lease
from bloge_server.store import keys
from bloge_server.store.execution_items import judge_owner, purge_items
from bloge_server.store.journals import Journals
from bloge_server.store.redis_store import RedisStore
from support.releases import next_release

from .conftest import LEASE_MS, START_MS, TOPIC, Bench, new

FACTS = Facts(TOPIC, "g", "hash", "key")
DONE = ExecutionStatus.COMPLETED


@pytest.fixture
def journals(bench: Bench) -> Journals:
    """The journals of the bench's store."""
    return Journals(bench.store.calls)


async def begun(bench: Bench, journals: Journals, execution_id: str = "e") -> LeaseToken:
    """Record and enqueue an execution, claim it and open its journal; return the token."""
    await journals.record(bench.namespace, execution_id, FACTS)
    await bench.enqueue(new(execution_id, item_type="EXECUTE_GRAPH", reply_group="-", attempt_timeout_ms=0))
    token = await bench.claim_one()
    await journals.open(bench.namespace, token)
    return token


async def taken_over(bench: Bench, journals: Journals) -> LeaseToken:
    """Let the lease run out; return the token of the next owner, which has opened the journal."""
    bench.clock.pass_ms(LEASE_MS + 1)
    await bench.sweep()
    bench.clock.pass_ms(1000)
    token = await bench.claim_one("w2")
    await journals.open(bench.namespace, token)
    return token


async def append(journals: Journals, token: LeaseToken, first: int, *events: bytes, **how: Any) -> int:
    """Append events; return the next sequence number."""
    return (await journals.append(token, first, events, how.get("ending")))[0]


async def contents(bench: Bench, journals: Journals, execution_id: str = "e") -> list[tuple[int, bytes]]:
    """Return the events with their numbers."""
    page = await journals.read(bench.namespace, execution_id, 1, 500)
    return [(event.sequence, event.contents) for event in page.events]


def refusal(error: pytest.ExceptionInfo[RemoteWorkersError]) -> tuple[Reason, dict[str, str]]:
    """Return why a call was refused."""
    return error.value.reason, dict(error.value.metadata)


async def test_a_record_is_written_once(bench: Bench, journals: Journals) -> None:
    """A second start finds the first one's topic and time."""
    first = await journals.record(bench.namespace, "e", FACTS)
    bench.clock.pass_ms(5)
    second = await journals.record(bench.namespace, "e", FACTS._replace(worker_topic="other", graph_hash="new"))
    assert (first.created, second.created) == (True, False)
    assert (second.worker_topic, second.start_ms) == (TOPIC, START_MS)
    found = await journals.find(bench.namespace, "e")
    assert found is not None
    assert (found.facts, found.status, found.next_sequence, found.end_ms) == (FACTS, ExecutionStatus.PENDING, 1, None)


async def test_the_graph_of_a_record_may_be_replaced(bench: Bench, journals: Journals) -> None:
    """An earlier start that came no further than its record may have had another graph."""
    await journals.record(bench.namespace, "e", FACTS)
    await journals.record(bench.namespace, "e", FACTS._replace(graph_hash="new"), replace=True)
    found = await journals.find(bench.namespace, "e")
    assert found is not None
    assert found.facts.graph_hash == "new"


async def test_events_are_numbered_from_one(bench: Bench, journals: Journals) -> None:
    """And stamped with the store's time."""
    token = await begun(bench, journals)
    assert await append(journals, token, 1, b"a", b"b") == 3
    bench.clock.pass_ms(7)
    assert await append(journals, token, 3, b"c") == 4
    page = await journals.read(bench.namespace, "e", 1, 500)
    assert [tuple(event) for event in page.events] == [
        (1, START_MS, b"a"),
        (2, START_MS, b"b"),
        (3, START_MS + 7, b"c"),
    ]
    assert (page.next_sequence, page.status) == (4, ExecutionStatus.RUNNING)


async def test_an_append_may_be_repeated(bench: Bench, journals: Journals) -> None:
    """Also one whose reply was lost before more was appended, and one that goes further than before."""
    token = await begun(bench, journals)
    await append(journals, token, 1, b"a", b"b")
    assert await append(journals, token, 1, b"a", b"b") == 3
    assert await append(journals, token, 1, b"a") == 3
    assert await append(journals, token, 2, b"b", b"c") == 4
    assert await contents(bench, journals) == [(1, b"a"), (2, b"b"), (3, b"c")]


@pytest.mark.parametrize(("first", "events"), [(2, [b"x"]), (1, [b"a", b"x"]), (5, [b"c"])])
async def test_an_append_that_does_not_fit_changes_nothing(
    bench: Bench, journals: Journals, first: int, events: list[bytes]
) -> None:
    """Other contents under a number that is taken, and a gap: the number that is next is told."""
    token = await begun(bench, journals)
    await append(journals, token, 1, b"a", b"b")
    with pytest.raises(RemoteWorkersError) as raised:
        await append(journals, token, first, *events)
    assert refusal(raised) == (Reason.SEQUENCE_MISMATCH, {"next_sequence": "3"})
    assert await contents(bench, journals) == [(1, b"a"), (2, b"b")]


async def test_a_later_owner_closes_the_journal_for_the_earlier_one(bench: Bench, journals: Journals) -> None:
    """Whatever the earlier one appends from then on is refused, even what it appended before."""
    first = await begun(bench, journals)
    await append(journals, first, 1, b"a")
    second = await taken_over(bench, journals)
    for attempt in (
        append(journals, first, 2, b"late"),
        append(journals, first, 1, b"a"),
        journals.open(bench.namespace, first),
    ):
        with pytest.raises(RemoteWorkersError) as raised:
            await attempt
        assert refusal(raised) == (Reason.FENCED_OFF, {"fence": second.fence})
    assert await append(journals, second, 2, b"b") == 3
    assert await contents(bench, journals) == [(1, b"a"), (2, b"b")]


async def test_who_has_not_opened_cannot_append(bench: Bench, journals: Journals) -> None:
    """A token with a larger fence, or with another secret, was never shown to the journal."""
    token = await begun(bench, journals)
    item, fence, nonce = token.claim.split("/")
    for claim in (f"{item}/{int(fence) + 1}/{nonce}", f"{item}/{fence}/guessed"):
        with pytest.raises(RemoteWorkersError) as raised:
            await append(journals, token._replace(claim=claim), 1, b"a")
        assert raised.value.reason is Reason.INVALID_TOKEN


async def test_the_same_lease_may_open_again(bench: Bench, journals: Journals) -> None:
    """A reply that was lost costs nothing; the page begins at the beginning."""
    token = await begun(bench, journals)
    await append(journals, token, 1, b"a")
    again = await journals.open(bench.namespace, token)
    assert [event.contents for event in again.events] == [b"a"]
    assert await append(journals, token, 2, b"b") == 3


async def test_the_last_event_ends_the_execution(bench: Bench, journals: Journals) -> None:
    """Repeating it is harmless, and nothing may follow."""
    token = await begun(bench, journals)
    bench.clock.pass_ms(3)
    await append(journals, token, 1, b"a", b"end", ending=DONE)
    found = await journals.find(bench.namespace, "e")
    assert found is not None
    assert (found.status, found.end_ms) == (DONE, START_MS + 3)
    assert await append(journals, token, 1, b"a", b"end", ending=DONE) == 3
    with pytest.raises(RemoteWorkersError) as raised:
        await append(journals, token, 3, b"more")
    assert raised.value.reason is Reason.WRONG_STATUS
    assert (await journals.open(bench.namespace, token)).status is DONE


async def test_pages_are_bounded_by_number_and_size(bench: Bench, journals: Journals) -> None:
    """An event that is larger than a page comes alone."""
    token = await begun(bench, journals)
    small, large = b"s" * 1_000_000, b"l" * 2_900_000
    for number, event in enumerate([small, small, small, large, small], start=1):
        await append(journals, token, number, event)
    pages: list[list[int]] = []
    first = 1
    while page := (await journals.read(bench.namespace, "e", first, 500)).events:
        pages.append([event.sequence for event in page])
        first = page[-1].sequence + 1
    assert pages == [[1, 2], [3], [4], [5]]
    assert [event.sequence for event in (await journals.open(bench.namespace, token)).events] == [1, 2]
    assert [event.sequence for event in (await journals.read(bench.namespace, "e", 2, 1)).events] == [2]


async def test_a_long_journal_is_read_to_its_end(bench: Bench, journals: Journals) -> None:
    """More events than one step of the script takes, and than one page has."""
    token = await begun(bench, journals)
    for start in range(1, 1201, 400):
        await append(journals, token, start, *(str(number).encode() for number in range(start, start + 400)))
    first, found = 1, []
    while page := (await journals.read(bench.namespace, "e", first, 500)).events:
        found += [int(event.contents) for event in page]
        first = page[-1].sequence + 1
    assert found == list(range(1, 1201))


async def test_who_waits_is_told(bench: Bench, journals: Journals) -> None:
    """An append says whether somebody waits, for as long as they said."""
    token = await begun(bench, journals)
    await journals.await_events(bench.namespace, "e", 1000)
    assert (await journals.append(token, 1, [b"a"], None))[1]
    bench.clock.pass_ms(1001)
    assert not (await journals.append(token, 2, [b"b"], None))[1]


async def test_what_is_not_there_is_told(bench: Bench, journals: Journals) -> None:
    """For every call."""
    token = LeaseToken(bench.namespace, TOPIC, "nobody/1/x")
    calls = (
        journals.open(bench.namespace, token),
        journals.append(token, 1, [b"a"], None),
        journals.read(bench.namespace, "nobody", 1, 1),
        journals.await_events(bench.namespace, "nobody", 1),
    )
    for call in calls:
        with pytest.raises(RemoteWorkersError) as raised:
            await call
        assert raised.value.reason is Reason.NOT_FOUND
    assert await journals.find(bench.namespace, "nobody") is None


async def test_a_later_release_is_not_read(bench: Bench, journals: Journals) -> None:
    """Servers of two releases share a store: what the older one cannot read it leaves alone, and says so."""
    upgraded = RedisStore(bench.way, clock=bench.clock, load=next_release)
    await Journals(upgraded.calls).record(bench.namespace, "e", FACTS)
    token = LeaseToken(bench.namespace, TOPIC, "e/1/x")
    calls = (
        journals.record(bench.namespace, "e", FACTS, replace=True),
        journals.find(bench.namespace, "e"),
        journals.open(bench.namespace, token),
        journals.append(token, 1, [b"a"], None),
        journals.read(bench.namespace, "e", 1, 1),
        journals.await_events(bench.namespace, "e", 1),
    )
    for call in calls:
        with pytest.raises(RemoteWorkersError) as raised:
            await call
        assert raised.value.reason is Reason.UNKNOWN_SCHEMA


async def test_a_later_release_goes_on_with_what_this_one_wrote(bench: Bench, journals: Journals) -> None:
    """An upgrade in the middle of an execution."""
    token = await begun(bench, journals)
    await append(journals, token, 1, b"a")
    upgraded = Journals(RedisStore(bench.way, clock=bench.clock, load=next_release).calls)
    assert await append(upgraded, token, 2, b"b") == 3
    assert await contents(bench, upgraded) == [(1, b"a"), (2, b"b")]


async def test_an_execution_outlives_its_retention_until_its_journal_is_gone(bench: Bench, journals: Journals) -> None:
    """The sweep names it and leaves it; removing it twice, as racing servers do, is harmless."""
    token = await begun(bench, journals)
    await bench.store.complete(bench.namespace, TOPIC, [Complete(token, "complete", b"{}", "d")])
    bench.clock.pass_ms(60_001)
    for _ in range(2):
        swept = await bench.store.sweep(bench.namespace, TOPIC)
        assert (swept.purged, list(swept.ended_executions)) == (0, ["e"])
    for _ in range(2):
        await journals.purge(bench.namespace, "e")
        await purge_items(bench.store, bench.namespace, TOPIC, ["e"])
    assert list((await bench.store.sweep(bench.namespace, TOPIC)).ended_executions) == []
    assert await bench.gone("e")
    assert [await bench.client.exists(key) for key in keys.execution_keys(bench.namespace, "e")] == [0, 0]


async def test_an_execution_is_not_removed_before_its_time(bench: Bench, journals: Journals) -> None:
    """A server that is late to remove what was named long ago takes nothing that lives."""
    await begun(bench, journals)
    await purge_items(bench.store, bench.namespace, TOPIC, ["e"])
    assert not await bench.gone("e")


async def losses(bench: Bench, item_id: str = "e") -> int:
    """Return how many leases of an item were lost without progress between."""
    return (await bench.item(item_id)).state.lease_loss_count


async def test_a_journal_that_grew_is_progress(bench: Bench, journals: Journals) -> None:
    """An owner that dies after each event is no poison; one that dies without any is counted."""
    token = await begun(bench, journals)
    await judge_owner(bench.store, token, 1)
    token = await taken_over(bench, journals)
    await judge_owner(bench.store, token, 1)
    assert await losses(bench) == 1
    await append(journals, token, 1, b"a")
    token = await taken_over(bench, journals)
    assert await losses(bench) == 2
    judged = await judge_owner(bench.store, token, 2)
    assert (judged.verdict.accepted, judged.owner) == (True, "w2")
    assert await losses(bench) == 0


@pytest.mark.parametrize(("item_type", "expected"), [("EXECUTE_GRAPH", [0, 1, 0]), ("EXECUTE_NODE", [0, 0, 0])])
async def test_progress_of_an_execution_counts_if_it_changed(bench: Bench, item_type: str, expected: list[int]) -> None:
    """A heartbeat tells the journal's length; of a node every progress counts."""
    await bench.enqueue(new("e", item_type=item_type))
    found: list[int] = []
    for details in (b"5", b"5", b"6"):
        token = await bench.claim_one()
        await bench.heartbeat(token, progress=details)
        found.append(await losses(bench))
        bench.clock.pass_ms(LEASE_MS + 1)
        await bench.sweep()
        bench.clock.pass_ms(1000)
    assert found == expected


async def test_only_a_held_lease_opens_a_journal(bench: Bench, journals: Journals) -> None:
    """One that has lapsed, was given on, or is of a node is told what it is."""
    token = await begun(bench, journals)
    bench.clock.pass_ms(LEASE_MS + 1)
    assert (await judge_owner(bench.store, token, 1)).verdict.reason is Reason.LEASE_EXPIRED
    bench.clock.pass_ms(1000)
    await bench.claim_one("w2")
    assert (await judge_owner(bench.store, token, 1)).verdict.reason is Reason.SUPERSEDED
    await bench.enqueue(new("node"))
    assert (await judge_owner(bench.store, await bench.claim_one(), 1)).verdict.reason is Reason.INVALID_TOKEN
    nobody = token._replace(claim="nobody/1/x")
    assert (await judge_owner(bench.store, nobody, 1)).verdict.reason is Reason.NOT_FOUND


async def test_a_cancellation_reaches_every_owner(bench: Bench, journals: Journals) -> None:
    """The one that runs it by its next heartbeat, a later one when it opens the journal."""
    token = await begun(bench, journals)
    assert not (await bench.heartbeat(token)).cancel_requested
    (acted,) = await bench.store.cancel(bench.namespace, TOPIC, ["e"], "enough")
    assert (acted.answer, acted.status) == ("CANCEL_REQUESTED", "CLAIMED")
    assert (await bench.heartbeat(token)).cancel_requested
    judged = await judge_owner(bench.store, await taken_over(bench, journals), 1)
    assert (judged.cancel_requested, judged.cancel_reason) == (True, "enough")


async def test_one_item_may_be_claimed_by_name(bench: Bench) -> None:
    """If nobody holds it: how the one that starts an execution comes to own it, before its start delay is over."""

    async def leases_of(item_id: str, worker: str = "w1") -> Sequence[Lease]:
        order = ClaimOrder(worker, 1, LEASE_MS, item_id=item_id)
        return (await bench.store.claim(bench.namespace, TOPIC, order)).leases

    async def claim(item_id: str, worker: str = "w1") -> Sequence[str]:
        return [lease.item_id for lease in await leases_of(item_id, worker)]

    await bench.enqueue(new("a"), new("b"), new("c", start_delay_ms=5000))
    assert await claim("b") == ["b"]
    assert await claim("b", "w2") == []
    (early,) = await leases_of("c")
    await bench.release(early.token, delay=5000)
    assert await claim("c") == [], "it is not due"
    bench.clock.pass_ms(5000)
    assert await claim("c") == ["c"]
    assert await claim("nobody") == []
    assert [lease.item_id for lease in await bench.claim(9)] == ["a"]
    bench.clock.pass_ms(LEASE_MS)
    assert await claim("b", "w2") == ["b"], "its lease has lapsed"
