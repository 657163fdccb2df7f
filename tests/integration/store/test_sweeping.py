"""Sweeps of many topics in few trips, on a real store."""

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.work_item import NewItem, SweepResult

from .conftest import Bench


async def test_every_topic_of_a_part_is_swept(bench: Bench) -> None:
    """In one trip for each node; a script that the store does not know yet is no hindrance."""
    topics = [(bench.namespace, f"t{number}") for number in range(30)]
    for topic in topics:
        await bench.store.enqueue(*topic, [NewItem("a", "digest", b"", start_delay_ms=1000)])
    parts = bench.store.together(topics)
    assert sorted(topic for part in parts for topic in part) == sorted(topics)
    bench.clock.pass_ms(1000)
    for part in parts:
        results = await bench.store.sweep_each(part)
        assert [isinstance(result, SweepResult) and result.promoted for result in results] == [1] * len(part)


async def test_one_topic_that_breaks_leaves_the_others_alone(bench: Bench) -> None:
    """What went wrong with it stands in place of its result."""
    topics = [(bench.namespace, name) for name in ("good", "broken")]
    await bench.client.set(f"bloge:{{{bench.namespace}/t/broken}}:retry", "no sorted set")
    results = {
        topic[1]: result
        for part in bench.store.together(topics)
        for topic, result in zip(part, await bench.store.sweep_each(part), strict=True)
    }
    assert isinstance(results["good"], SweepResult)
    assert isinstance(results["broken"], RemoteWorkersError)
    assert results["broken"].reason is Reason.INTERNAL


async def test_a_topic_in_an_unexpected_place_is_found(bench: Bench) -> None:
    """Keys move; what was put in one part by mistake is swept all the same."""
    topics = [(bench.namespace, f"t{number}") for number in range(30)]
    results = await bench.store.sweep_each(topics)
    assert all(isinstance(result, SweepResult) for result in results)
