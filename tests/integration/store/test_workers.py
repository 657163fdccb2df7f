"""The list of workers, on a real store."""

from bloge_server.store.workers import WorkerCard, WorkerList

from .conftest import Bench

HOUR_MS = 3_600_000
CARD = WorkerCard("w1", ("topic", "other"), 4, "sdk/1", 2, 3, draining=True)


async def test_a_worker_is_listed_as_it_was_noted_last(bench: Bench) -> None:
    """Every word of its card, and when it was seen."""
    workers = WorkerList(bench.store)
    await workers.note(bench.namespace, [CARD._replace(held=0)])
    bench.clock.pass_ms(500)
    now, asked = await workers.note(bench.namespace, [CARD])
    assert (now, asked) == (bench.clock.now, set())
    assert await workers.ids(bench.namespace) == ["w1"]
    (worker,) = await workers.read(bench.namespace, ["w1"])
    assert worker == (CARD, bench.clock.now, False)


async def test_a_worker_of_which_nothing_new_is_known_stays_listed(bench: Bench) -> None:
    """Its card stays as it was."""
    workers = WorkerList(bench.store)
    await workers.note(bench.namespace, [CARD])
    bench.clock.pass_ms(HOUR_MS - 1)
    await workers.note(bench.namespace, [], unchanged=["w1"])
    bench.clock.pass_ms(1)
    await workers.note(bench.namespace, [])
    (worker,) = await workers.read(bench.namespace, ["w1"])
    assert (worker.card, worker.last_seen_ms) == (CARD, bench.clock.now - 1)


async def test_a_claim_alone_lists_a_worker_but_does_not_rewrite_its_card(bench: Bench) -> None:
    """What the worker said of itself is better than what its claim shows."""
    workers = WorkerList(bench.store)
    await workers.note(bench.namespace, [CARD])
    brief = [WorkerCard("w1", ("topic",)), WorkerCard("w2", ("topic",))]
    bench.clock.pass_ms(1000)
    await workers.note(bench.namespace, [], brief)
    found = await workers.read(bench.namespace, await workers.ids(bench.namespace))
    assert [worker.card for worker in found] == [CARD, brief[1]]
    assert {worker.last_seen_ms for worker in found} == {bench.clock.now}


async def test_a_worker_that_is_not_seen_is_forgotten(bench: Bench) -> None:
    """After an hour, and others stay."""
    workers = WorkerList(bench.store)
    await workers.note(bench.namespace, [CARD])
    bench.clock.pass_ms(HOUR_MS)
    await workers.note(bench.namespace, [CARD._replace(worker_id="w2")])
    assert await workers.ids(bench.namespace) == ["w2"]
    assert await workers.read(bench.namespace, ["w1"]) == []
    assert not await workers.ask_to_leave(bench.namespace, "w1")


async def test_who_was_asked_to_leave_is_known_for_a_day(bench: Bench) -> None:
    """Longer than any drain lasts; worker ids do not come back."""
    workers = WorkerList(bench.store)
    await workers.note(bench.namespace, [CARD])
    assert await workers.ask_to_leave(bench.namespace, "w1")
    _, asked = await workers.note(bench.namespace, [CARD])
    assert asked == {"w1"}
    (worker,) = await workers.read(bench.namespace, ["w1"])
    assert worker.asked_to_leave
    bench.clock.pass_ms(24 * HOUR_MS)
    _, asked = await workers.note(bench.namespace, [CARD])
    _, asked = await workers.note(bench.namespace, [CARD])
    assert asked == set()


async def test_a_card_of_a_later_release_is_read(bench: Bench) -> None:
    """It may say more than this one knows."""
    workers = WorkerList(bench.store)
    await workers.note(bench.namespace, [CARD])
    key = f"bloge:{{{bench.namespace}}}:worker-cards"
    await bench.store.command("HSET", key, "w1", '[["topic"],4,"sdk/2",0,0,false,"news"]')
    (worker,) = await workers.read(bench.namespace, ["w1"])
    assert worker.card == WorkerCard("w1", ("topic",), 4, "sdk/2")
