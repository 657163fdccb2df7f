"""One item several times in one call, and several things due at once: each step sees what the one before it did."""

from bloge_server.domain.lifecycle import Outcome, Status
from bloge_server.domain.reports import Heartbeat
from bloge_server.store import topics

from .conftest import LEASE_MS, TOPIC, Bench, new


async def test_an_outcome_is_acknowledged_once(bench: Bench) -> None:
    """A batch that names an item twice takes one outcome out of the outbox."""
    await bench.enqueue(new())
    await bench.complete(await bench.claim_one())
    assert await bench.store.acknowledge(bench.namespace, TOPIC, ["a", "a"]) == 1


async def test_an_outcome_is_acknowledged_wherever_it_stands(bench: Bench) -> None:
    """In one of the outboxes that were named, in another, or in none any more."""
    groups = {"a": "one", "b": "two", "c": "three", "d": "one"}
    await bench.enqueue(*(new(item_id, reply_group=group) for item_id, group in groups.items()))
    for lease in await bench.claim(4):
        await bench.complete(lease.token)
    assert await bench.store.acknowledge(bench.namespace, TOPIC, ["d"], ["one"]) == 1
    assert await bench.store.acknowledge(bench.namespace, TOPIC, [*"aabcd", "x"], ["two", "one", "nobody"]) == 3
    assert {item_id: await bench.indexes(item_id) for item_id in groups} == {key: {"finished"} for key in groups}
    assert (await topics.describe(bench.store, bench.namespace, TOPIC)).unacknowledged == 0


async def test_a_dead_letter_whose_outcome_is_recorded_stays(bench: Bench) -> None:
    """Its retention begins when somebody is done with it, however its acknowledgement found it."""
    for item_id, groups in (("a", ["group"]), ("b", ())):
        await bench.enqueue(new(item_id, on_dead_letter="RESUME_WITH_FAILURE"))
        await bench.fail(await bench.claim_one(), fatal=True)
        assert await bench.store.acknowledge(bench.namespace, TOPIC, [item_id], groups) == 1
        assert await bench.indexes(item_id) == {"dead"}


async def test_a_second_heartbeat_of_a_batch_does_not_shorten_the_lease(bench: Bench) -> None:
    """The deadline only moves forward, from report to report."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    beats = [Heartbeat(token, 2 * LEASE_MS), Heartbeat(token, LEASE_MS)]
    verdicts = await bench.store.heartbeat(bench.namespace, TOPIC, beats)
    assert [verdict.lease_ms for verdict in verdicts] == [2 * LEASE_MS, 2 * LEASE_MS]
    assert (await bench.item()).lease_deadline_ms == bench.clock.now + 2 * LEASE_MS


async def test_two_late_heartbeats_in_a_batch_lose_one_lease(bench: Bench) -> None:
    """The first takes the item back, so the second finds a current lease, whether a sweep had run or not."""
    await bench.enqueue(new(max_lease_losses=1), new("b", max_lease_losses=1))
    for item_id, swept in (("a", True), ("b", False)):
        token = await bench.claim_one()
        assert token.item_id == item_id
        bench.clock.pass_ms(LEASE_MS)
        if swept:
            await bench.sweep()
        verdicts = await bench.store.heartbeat(bench.namespace, TOPIC, [Heartbeat(token)] * 2)
        assert [(verdict.accepted, verdict.lease_ms) for verdict in verdicts] == [(True, LEASE_MS)] * 2
        assert (await bench.item(item_id)).state.lease_loss_count == 1


async def test_discarding_what_has_just_timed_out_leaves_the_outcome_in_its_outbox(bench: Bench) -> None:
    """The discard settles the deadline first; retention begins with the acknowledgement, not before."""
    await bench.enqueue(new(suspend_timeout_ms=1000))
    await bench.fail(await bench.claim_one(), fatal=True)
    bench.clock.pass_ms(1000)
    (acted,) = await bench.store.discard(bench.namespace, TOPIC, ["a"])
    assert acted == ("DISCARDED", "CANCELLED", "TIMED_OUT")
    assert await bench.indexes() == {"outbox:group"}
    bench.clock.pass_ms(60_000)
    await bench.sweep()
    assert await bench.outbox() == ["a"]


async def test_a_sweep_may_time_out_and_drop_a_dead_letter_at_once(bench: Bench) -> None:
    """So may a sweep: the outcome stays in its outbox until it is acknowledged."""
    await bench.enqueue(new(suspend_timeout_ms=1000), new("b"))
    for _ in range(2):
        await bench.fail(await bench.claim_one(), fatal=True)
        bench.clock.pass_ms(500)
    limits: dict[topics.Setting, int | str | None] = {"dead_letter_limit": 1, "dead_letter_policy": "DISCARD_OLDEST"}
    await topics.configure(bench.store, bench.namespace, TOPIC, limits)
    swept = await bench.store.sweep(bench.namespace, TOPIC)
    assert (swept.timed_out, swept.discarded) == (1, 1)
    assert (await bench.item()).state.outcome is Outcome.TIMED_OUT
    assert await bench.indexes() == {"outbox:group"}


async def test_a_replayed_item_can_be_named_twice(bench: Bench) -> None:
    """The second time it is no dead letter any more."""
    await bench.enqueue(new())
    await bench.fail(await bench.claim_one(), fatal=True)
    acted = await bench.store.replay(bench.namespace, TOPIC, [("a", 0), ("a", 0)])
    assert [each.answer for each in acted] == ["REPLAYED", "WRONG_STATUS"]
    assert (await bench.item()).state.status is Status.READY
