"""The auditor finds what was broken by hand, says nothing about what is right, and repairs."""

import pytest

from bloge_server.domain.lifecycle import Status
from bloge_server.store import topics
from bloge_server.store.audit import Auditor
from bloge_server.store.findings import Finding

from .conftest import LEASE_MS, Bench, new


async def _findings(bench: Bench, *, repair: bool = False) -> list[Finding]:
    auditor = Auditor(bench.store, bench.namespace, repair=repair)
    return [finding async for step in auditor.run() for finding in step.findings]


def _of_items(findings: list[Finding]) -> list[Finding]:
    """Leave out what is told of the topic: an outbox that was broken by hand disagrees with its count too."""
    return [finding for finding in findings if finding.item_id]


async def _one_of_each(bench: Bench) -> None:
    """Have an item in each place."""
    await bench.enqueue(
        *(new(name, suspend_timeout_ms=90_000) for name in ("done", "dead", "acknowledged", "claimed", "ready")),
        new("waiting", start_delay_ms=1000),
    )
    done, dead, acknowledged, _ = await bench.claim(4)
    await bench.complete(done.token)
    await bench.complete(acknowledged.token)
    await bench.store.acknowledge(bench.namespace, "topic", ["acknowledged"])
    await bench.fail(dead.token)


async def test_a_sound_store_has_no_findings(bench: Bench) -> None:
    """Whatever the statuses, nothing is reported, and every item was looked at."""
    await _one_of_each(bench)
    steps = [step async for step in Auditor(bench.store, bench.namespace).run()]
    assert [finding for step in steps for finding in step.findings] == []
    assert sum(step.checked for step in steps) >= 6


@pytest.mark.parametrize(
    ("index", "item_id"),
    [
        ("ready", "ready"),
        ("leases", "claimed"),
        ("retry", "waiting"),
        ("dead", "dead"),
        ("deadlines", "ready"),
        ("finished", "acknowledged"),
        ("outbox:group", "done"),
    ],
)
async def test_a_missing_entry_is_found_and_put_back(bench: Bench, index: str, item_id: str) -> None:
    """An item that fell out of an index stands there again after a repair, and the store is sound."""
    await _one_of_each(bench)
    before = await bench.indexes(item_id)
    await bench.client.zrem(f"bloge:{{{bench.namespace}/t/topic}}:{index}", item_id)
    (found,) = _of_items(await _findings(bench))
    assert (found.item_id, found.repaired) == (item_id, False)
    (repaired,) = _of_items(await _findings(bench, repair=True))
    assert repaired.repaired
    assert await _findings(bench) == []
    # Whether an outcome was acknowledged cannot be known any more: it is delivered again, which is harmless.
    assert await bench.indexes(item_id) == (before if index != "finished" else {"outbox:group"})


@pytest.mark.parametrize("index", ["ready", "leases", "retry", "dead", "deadlines", "finished", "outbox:group"])
async def test_an_entry_without_a_record_is_found_and_removed(bench: Bench, index: str) -> None:
    """What an index names but nobody stored goes away."""
    await bench.enqueue(new())
    await bench.client.zadd(f"bloge:{{{bench.namespace}/t/topic}}:{index}", {"ghost": 1})
    found = await _findings(bench, repair=True)
    assert {finding.item_id for finding in _of_items(found)} == {"ghost"}
    assert await _findings(bench) == []
    assert await bench.indexes("ghost") == set()


async def test_an_item_in_two_places_is_found(bench: Bench) -> None:
    """An item stands in exactly one status index."""
    await bench.enqueue(new())
    await bench.client.zadd(f"bloge:{{{bench.namespace}/t/topic}}:dead", {"a": 1})
    (found,) = await _findings(bench, repair=True)
    assert found.problem == "READY but stands in dead"
    assert await bench.indexes() == {"ready"}


@pytest.mark.parametrize(("index", "item_id"), [("ready", "ready"), ("deadlines", "claimed")])
async def test_an_entry_at_the_wrong_place_is_found(bench: Bench, index: str, item_id: str) -> None:
    """An item whose place in an order was changed gets its own back."""
    await _one_of_each(bench)
    key = f"bloge:{{{bench.namespace}/t/topic}}:{index}"
    before = await bench.client.zscore(key, item_id)
    await bench.client.zadd(key, {item_id: 1})
    (found,) = await _findings(bench, repair=True)
    assert (found.item_id, found.problem.split(" but ")[1]) == (item_id, f"at the wrong place in {index}")
    assert await _findings(bench) == []
    assert await bench.client.zscore(key, item_id) == before


@pytest.mark.parametrize("counter", ["sequence", "outcomes"])
async def test_a_counter_behind_its_items_is_found(bench: Bench, counter: str) -> None:
    """A counter that lost its place is told once, and gives out no place twice after the repair."""
    await _one_of_each(bench)
    key = f"bloge:{{{bench.namespace}/t/topic}}:topic"
    before = await bench.client.hget(key, counter)
    await bench.client.hset(key, counter, 0)
    (found,) = await _findings(bench, repair=True)
    assert (found.item_id, found.problem) == ("", f"its counter of {counter} is behind its items")
    assert await _findings(bench) == []
    assert int(await bench.client.hget(key, counter)) == (int(before) if counter == "sequence" else 1)


async def test_a_wrong_count_of_unacknowledged_outcomes_is_found(bench: Bench) -> None:
    """The count that the metrics show is that of the outboxes."""
    await _one_of_each(bench)
    key = f"bloge:{{{bench.namespace}/t/topic}}:topic"
    await bench.client.hset(key, "unacknowledged", 7)
    (found,) = await _findings(bench, repair=True)
    assert (found.item_id, found.problem) == ("", "its count of unacknowledged outcomes is wrong")
    assert await _findings(bench) == []
    assert int(await bench.client.hget(key, "unacknowledged")) == 1


async def test_a_wrong_list_of_waiting_groups_is_found(bench: Bench) -> None:
    """The list says of each reply group since when it waits, of those that wait only."""
    await _one_of_each(bench)
    key = f"bloge:{{{bench.namespace}/t/topic}}:outboxes"
    await bench.client.delete(key)
    await bench.client.zadd(key, {"nobody": 1})
    problems = {finding.problem for finding in await _findings(bench, repair=True)}
    assert problems == {
        "its list of reply groups that wait lacks group",
        "its list of reply groups that wait names nobody, whose outbox is empty",
    }
    assert await _findings(bench) == []
    assert await bench.client.zrange(key, 0, -1) == [b"group"]


async def test_a_leased_item_without_a_lease_entry_comes_back(bench: Bench) -> None:
    """The classic orphan: claimed, but no sweep would ever look at it. After the repair its lease lapses."""
    await bench.enqueue(new())
    await bench.claim_one()
    await bench.client.zrem(f"bloge:{{{bench.namespace}/t/topic}}:leases", "a")
    bench.clock.pass_ms(LEASE_MS)
    await bench.sweep()
    assert (await bench.item()).state.status is Status.CLAIMED
    await _findings(bench, repair=True)
    await bench.sweep()
    assert (await bench.item()).state.status is Status.RETRY_WAIT


async def test_a_topic_that_nobody_knows_is_announced(bench: Bench) -> None:
    """Items of a topic that fell out of the list of topics are found, and the topic is listed again."""
    await bench.enqueue(new())
    await bench.client.srem(f"bloge:{{{bench.namespace}}}:topics", "topic")
    (found,) = await _findings(bench, repair=True)
    assert (found.worker_topic, found.item_id) == ("topic", "")
    assert await bench.store.topics(bench.namespace) == ["topic"]


async def test_counts_and_pause(bench: Bench) -> None:
    """A topic's counts are those of its indexes; while it is paused nothing is claimed."""
    await _one_of_each(bench)
    bench.clock.pass_ms(500)
    view = await topics.describe(bench.store, bench.namespace, "topic")
    assert view[:8] == (1, 1, 1, 1, 1, 500, False, bench.store.limits)
    await topics.configure(bench.store, bench.namespace, "topic", {"paused": 1})
    assert await bench.claim() == []
    assert (await topics.describe(bench.store, bench.namespace, "topic")).paused
    await topics.configure(bench.store, bench.namespace, "topic", {"paused": None})
    assert len(await bench.claim()) == 1
