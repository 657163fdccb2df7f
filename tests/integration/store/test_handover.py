"""Outcomes that the reply of a call tells are those that a read would bring; what it cannot tell, it says."""

import pytest

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.domain.reports import Complete
from bloge_server.domain.work_item import Emission
from bloge_server.rpc import items
from support.watching import Watching

from .conftest import LEASE_MS, TOPIC, Bench, new

SPEC = work_item_pb2.WorkItemSpec(execution_id="e1", node_id="n1").SerializeToString()


@pytest.fixture
def watching(bench: Bench) -> Watching:
    """Return the watchers of the store."""
    return Watching(bench.store)


async def same_as_read(bench: Bench, emission: Emission) -> bool:
    """Return whether an emission says to the wire what reading says of the same part of the outbox."""
    page = await bench.store.read_outbox(bench.namespace, TOPIC, emission.reply_group, after=emission.before, limit=100)
    assert emission.outcomes is not None
    assert page.place <= emission.place
    return [items.outcome(each) for each in emission.outcomes] == [items.outcome(each) for each in page.outcomes]


async def test_what_is_told_is_what_is_read(bench: Bench, watching: Watching) -> None:
    """Outputs and business errors, after a retry and without one, in the order of the outbox."""
    await bench.enqueue(*(new(name, spec=SPEC, max_retries=2) for name in "abc"))
    for lease in await bench.claim(3):
        if lease.item_id == "b":
            await bench.fail(lease.token, after=0)
        else:
            finish = bench.complete if lease.item_id == "a" else bench.business_error
            assert (await finish(lease.token)).accepted
    bench.clock.pass_ms(10)
    assert (await bench.complete(await bench.claim_one("w2"), b'{"n":2}')).accepted
    assert [emission.before for emission in watching.emissions] == [0, *(each.place for each in watching.emissions[:2])]
    told = [outcome for emission in watching.emissions for outcome in emission.outcomes or ()]
    assert [(outcome.item_id, outcome.retry_count) for outcome in told] == [("a", 0), ("c", 0), ("b", 1)]
    page = await bench.store.read_outbox(bench.namespace, TOPIC, "group", after=0, limit=100)
    assert list(map(items.outcome, told)) == list(map(items.outcome, page.outcomes))


async def test_a_batch_tells_of_each_reply_group(bench: Bench, watching: Watching) -> None:
    """Of every outcome of the call, and of nothing without a group."""
    groups = {"a": "one", "b": "two", "c": "one", "d": "-"}
    await bench.enqueue(*(new(name, spec=SPEC, reply_group=group) for name, group in groups.items()))
    reports = [Complete(lease.token, "complete", lease.item_id.encode(), "d") for lease in await bench.claim(4)]
    await bench.store.complete(bench.namespace, TOPIC, reports)
    told = {each.reply_group: [outcome.item_id for outcome in each.outcomes or ()] for each in watching.emissions}
    assert told == {"one": ["a", "c"], "two": ["b"]}
    assert [await same_as_read(bench, each) for each in watching.emissions] == [True, True]


async def test_a_refused_report_tells_nothing(bench: Bench, watching: Watching) -> None:
    """The same report twice has one outcome, and a stale one none."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    reports = [Complete(token, "complete", b"1", digest) for digest in ("d", "d", "other")]
    verdicts = await bench.store.complete(bench.namespace, TOPIC, reports)
    assert [verdict.accepted for verdict in verdicts] == [True, True, False]
    assert [len(emission.outcomes or ()) for emission in watching.emissions] == [1]
    await bench.complete(token)
    assert len(watching.emissions) == 1


async def test_what_ends_by_itself_in_a_call_must_be_read(bench: Bench, watching: Watching) -> None:
    """A deadline that the call meets writes an outcome between the others."""
    await bench.enqueue(new("a"), new("late", suspend_timeout_ms=1000))
    leases = await bench.claim(2)
    bench.clock.pass_ms(1000)
    await bench.store.complete(
        bench.namespace, TOPIC, [Complete(lease.token, "complete", b"1", "d") for lease in leases]
    )
    (emission,) = watching.emissions
    assert (emission.outcomes, emission.before, emission.place) == (None, 0, 2)
    assert sorted(await bench.outbox()) == ["a", "late"]


async def test_a_dead_letter_that_is_finished_must_be_read(bench: Bench, watching: Watching) -> None:
    """Its outcome says why it was one."""
    await bench.enqueue(new(max_lease_losses=0))
    token = await bench.claim_one()
    bench.clock.pass_ms(LEASE_MS)
    await bench.sweep()
    assert (await bench.complete(token)).accepted
    (emission,) = watching.emissions
    assert emission.outcomes is None
    assert await bench.outbox() == ["a"]


async def test_acknowledged_outcomes_leave_no_gap(bench: Bench, watching: Watching) -> None:
    """What has gone from the outbox has been taken by somebody."""
    for name in ("a", "b"):
        await bench.enqueue(new(name))
        await bench.complete(await bench.claim_one())
        await bench.store.acknowledge(bench.namespace, TOPIC, [name])
    assert [(each.before, each.place) for each in watching.emissions] == [(0, 1), (0, 2)]


async def test_a_call_that_fails_is_followed_by_a_look(bench: Bench, watching: Watching) -> None:
    """The reply is lost, the outcome may not be."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    await bench.way.send(
        f"bloge:{{{bench.namespace}/t/{TOPIC}}}:topic",
        ("SET", f"bloge:{{{bench.namespace}/t/{TOPIC}}}:topic", "broken"),
    )
    with pytest.raises(RemoteWorkersError):
        await bench.complete(token)
    assert (watching.looks, watching.emissions) == (1, [])


async def test_without_watchers_nothing_is_told(bench: Bench) -> None:
    """And every server is told that there is something to read."""
    await bench.enqueue(new())
    assert (await bench.complete(await bench.claim_one())).accepted
    assert await bench.outbox() == ["a"]
