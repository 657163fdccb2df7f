"""What happens in a topic lately: every server adds to the same slots."""

from bloge_server.services.throughput import Throughput
from bloge_server.store import throughput
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.throughput import NOTHING, SLOT_SECONDS, SLOTS, Counts

from .conftest import TOPIC, Bench, new

SLOT_MS = SLOT_SECONDS * 1000


async def read(bench: Bench) -> list[Counts]:
    """Return the slots of the topic."""
    return await throughput.read(bench.store, (bench.namespace, TOPIC))


async def test_a_topic_of_which_nothing_was_told_is_quiet(bench: Bench) -> None:
    """A slot for each, all empty."""
    assert await read(bench) == [NOTHING] * SLOTS


async def test_what_several_tell_adds_up(bench: Bench) -> None:
    """In the slot of the moment; later ones have their own."""
    topic = (bench.namespace, TOPIC)
    await throughput.add(bench.store, topic, Counts(enqueued=2, rejected=1))
    await throughput.add(bench.store, topic, Counts(enqueued=3, completed=1))
    bench.clock.pass_ms(2 * SLOT_MS)
    await throughput.add(bench.store, topic, Counts(leases_lost=4))
    assert (await read(bench))[-3:] == [Counts(enqueued=5, completed=1, rejected=1), NOTHING, Counts(leases_lost=4)]


async def test_a_slot_is_used_again_when_its_turn_comes(bench: Bench) -> None:
    """What it had is forgotten, and what is older than the ring is not told."""
    topic = (bench.namespace, TOPIC)
    await throughput.add(bench.store, topic, Counts(enqueued=7))
    bench.clock.pass_ms(SLOTS * SLOT_MS)
    assert await read(bench) == [NOTHING] * SLOTS
    await throughput.add(bench.store, topic, Counts(completed=1))
    assert (await read(bench))[-1] == Counts(completed=1)


async def test_a_server_counts_what_it_does(bench: Bench) -> None:
    """Items in, outputs, failures, lost leases, and how its answers to reports were."""
    told = Throughput()
    bench.store = RedisStore(bench.way, clock=bench.clock, dice=lambda: 0.5, probe=told)
    await bench.enqueue(*(new(each)._replace(max_retries=1) for each in ("a", "b", "c")))
    await bench.complete(await bench.claim_one())
    await bench.fail(await bench.claim_one())
    lost = await bench.claim_one()
    bench.clock.pass_ms(60_000)
    await bench.sweep()
    bench.clock.pass_ms(1_000)
    await bench.claim(2, worker="w2")
    await bench.complete(lost)
    await told.tell(bench.store)
    assert (await read(bench))[-1] == Counts(enqueued=3, completed=1, failed=1, accepted=2, rejected=1, leases_lost=1)


async def test_what_was_told_is_not_told_again(bench: Bench) -> None:
    """Each count once."""
    told = Throughput()
    bench.store = RedisStore(bench.way, clock=bench.clock, dice=lambda: 0.5, probe=told)
    await bench.enqueue(new("a"))
    for _ in range(2):
        await told.tell(bench.store)
    assert sum(slot.enqueued for slot in await read(bench)) == 1
