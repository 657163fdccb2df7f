"""Servers of two adjacent releases on one store: the older one leaves alone what only the later one can read."""

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.reports import Heartbeat
from bloge_server.domain.work_item import ClaimOrder, TopicLimits
from bloge_server.store import topics
from bloge_server.store.redis_store import RedisStore
from support.releases import next_release

from .conftest import LEASE_MS, TOPIC, Bench, new


def later(bench: Bench) -> RedisStore:
    """Return the store of the next release's server."""
    return RedisStore(bench.way, retention_ms=60_000, clock=bench.clock, dice=lambda: 0.5, load=next_release)


async def test_the_later_release_takes_over_what_the_earlier_one_wrote(bench: Bench) -> None:
    """An item enqueued and claimed through the old server is finished through the new one."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    upgraded = later(bench)
    (beat,) = await upgraded.heartbeat(bench.namespace, TOPIC, [Heartbeat(token)])
    assert beat.accepted
    bench.store = upgraded
    assert (await bench.complete(token)).accepted
    assert await bench.outbox() == ["a"]


async def test_a_claim_passes_over_what_it_cannot_read(bench: Bench) -> None:
    """More unreadable items at the head than a claim asks for do not hide the one behind them."""
    await later(bench).enqueue(bench.namespace, TOPIC, [new(f"later-{index}") for index in range(20)])
    await bench.enqueue(new("earlier"))
    claimed = await bench.store.claim(bench.namespace, TOPIC, ClaimOrder("w1", 3, LEASE_MS))
    assert [lease.item_id for lease in claimed.leases] == ["earlier"]
    assert not claimed.more, "asking again at once would find the same"
    leases = (await later(bench).claim(bench.namespace, TOPIC, ClaimOrder("w2", 100, LEASE_MS))).leases
    assert len(leases) == 20


async def test_a_report_is_not_judged_by_who_cannot_read_the_record(bench: Bench) -> None:
    """Every verb says so and changes nothing; the later release accepts the same token afterwards."""
    upgraded = later(bench)
    await upgraded.enqueue(bench.namespace, TOPIC, [new()])
    (lease,) = (await upgraded.claim(bench.namespace, TOPIC, ClaimOrder("w1", 1, LEASE_MS))).leases
    token = lease.token
    verdicts = [
        await bench.complete(token),
        await bench.fail(token),
        await bench.heartbeat(token),
        await bench.release(token),
        await bench.receive(token),
    ]
    assert {verdict.reason for verdict in verdicts} == {Reason.UNKNOWN_SCHEMA}
    bench.store = upgraded
    assert (await bench.complete(token)).accepted


async def test_acts_on_what_cannot_be_read_are_refused(bench: Bench) -> None:
    """Cancel, replay, discard, adopt, enqueue and get name the reason."""
    await later(bench).enqueue(bench.namespace, TOPIC, [new()])
    place = (bench.namespace, TOPIC)
    acted = [
        *await bench.store.cancel(*place, ["a"], "why"),
        *await bench.store.replay(*place, [("a", 0)]),
        *await bench.store.discard(*place, ["a"]),
        await bench.store.adopt(*place, "a", 1),
    ]
    assert {each.answer for each in acted} == {"UNKNOWN_SCHEMA"}
    assert await bench.enqueue(new()) == ["UNKNOWN_SCHEMA"]
    assert (await bench.store.await_outcome(*place, "a"))[0] == "UNKNOWN_SCHEMA"
    with pytest.raises(RemoteWorkersError, match="later release") as refused:
        await bench.store.get(*place, ["a"])
    assert refused.value.reason is Reason.UNKNOWN_SCHEMA


async def test_an_older_sweep_leaves_what_it_cannot_read(bench: Bench) -> None:
    """A due lease, deadline and retention of the later release wait for its server, and cost no hot loop."""
    upgraded = later(bench)
    await upgraded.enqueue(bench.namespace, TOPIC, [new("late", suspend_timeout_ms=1000), new("held"), new("done")])
    done = None
    for lease in (await upgraded.claim(bench.namespace, TOPIC, ClaimOrder("w1", 3, LEASE_MS))).leases:
        done = lease.token if lease.item_id == "done" else done
    assert done is not None
    bench.store, present = upgraded, bench.store
    assert (await bench.complete(done)).accepted
    assert await present.acknowledge(bench.namespace, TOPIC, ["done"]) == 0
    assert await upgraded.acknowledge(bench.namespace, TOPIC, ["done"]) == 1
    bench.clock.pass_ms(10 * LEASE_MS)
    swept = await present.sweep(bench.namespace, TOPIC)
    assert (swept.expired, swept.timed_out, swept.purged) == (0, 0, 0)
    assert swept.next_due_ms < 0
    swept = await upgraded.sweep(bench.namespace, TOPIC)
    assert (swept.timed_out, swept.purged) == (1, 1)
    assert (await bench.indexes("held")) == {"retry"}


async def test_an_outcome_of_the_later_release_can_be_acknowledged(bench: Bench) -> None:
    """Where its reply group is known: its record is not looked at, and indexes mean the same in both."""
    upgraded = later(bench)
    await upgraded.enqueue(bench.namespace, TOPIC, [new("a")])
    await upgraded.cancel(bench.namespace, TOPIC, ["a"], "why")
    assert await bench.store.acknowledge(bench.namespace, TOPIC, ["a"], ["other"]) == 0
    assert await bench.store.acknowledge(bench.namespace, TOPIC, ["a"], ["group"]) == 1
    assert await bench.indexes() == {"finished"}


async def test_outcomes_of_the_later_release_wait_for_it(bench: Bench) -> None:
    """An older server does not deliver what it might misread; the later one does."""
    upgraded = later(bench)
    await upgraded.enqueue(bench.namespace, TOPIC, [new("a")])
    await bench.enqueue(new("b"))
    for item_id in ("a", "b"):
        await upgraded.cancel(bench.namespace, TOPIC, [item_id], "why")
    assert await bench.outbox() == ["b"]
    bench.store = upgraded
    assert await bench.outbox() == ["a", "b"]


async def test_the_audit_leaves_what_it_cannot_read(bench: Bench) -> None:
    """A repair by the older release would break what the later one knows better."""
    await later(bench).enqueue(bench.namespace, TOPIC, [new()])
    assert await bench.store.run("audit", bench.namespace, TOPIC, [1, "-", "a"]) == []
    assert await bench.indexes() == {"ready"}
    view = await topics.describe(bench.store, bench.namespace, TOPIC)
    assert (view.ready, view.oldest_ready_ms) == (1, -1)


async def test_surplus_dead_letters_of_the_later_release_stay(bench: Bench) -> None:
    """The bound drops only what the server can read."""
    bench.store, present = later(bench), bench.store
    await bench.enqueue(new("a"))
    await bench.fail(await bench.claim_one(), fatal=True)
    bench.clock.pass_ms(1)
    bench.store = present
    await bench.enqueue(new("b"))
    await bench.fail(await bench.claim_one(), fatal=True)
    bounded = RedisStore(bench.way, limits=TopicLimits(0, 1, "DISCARD_OLDEST"), clock=bench.clock)
    swept = await bounded.sweep(bench.namespace, TOPIC)
    assert (swept.discarded, swept.dead_beyond_limit) == (0, 1)
    assert await bench.indexes("a") == await bench.indexes("b") == {"dead"}
