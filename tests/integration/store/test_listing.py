"""Pages of a topic's items: by place, whatever comes and goes meanwhile."""

import json

import pytest

from bloge_server.store import listing
from bloge_server.store.listing import BEGINNING, DeadQuery, ItemQuery, Place

from .conftest import TOPIC, Bench, new

READY = ItemQuery("ready")
IDS = ["-a", ".b", "0", "A", "Z", "_", "a", "aa", "z"]
"""In the order of their bytes, which is not that of any language."""


async def bury(bench: Bench, *item_ids: str, kind: str = "Boom", spec: bytes = b"", fatal: bool = True) -> None:
    """Make dead letters of one instant."""
    for item_id in item_ids:
        await bench.enqueue(new(item_id)._replace(spec=spec))
        await bench.fail(await bench.claim_one(), kind=json.dumps(kind)[1:-1], fatal=fatal)


async def walk(bench: Bench, query: ItemQuery, size: int, look_at: int = 100) -> list[str]:
    """Return all that pages hold, one after the other."""
    found, page = [], listing.Page([], BEGINNING, more=True, looked_at=0)
    while page.more:
        page = await listing.items(
            bench.store, (bench.namespace, TOPIC), query, after=page.place, look_at=look_at, limit=size
        )
        assert len(page.found) <= size
        found += [place.item_id for place in page.found]
    return found


async def walk_dead(bench: Bench, query: DeadQuery, size: int = 4, look_at: int = 100) -> list[str]:
    """Return all dead letters that pages hold, one after the other."""
    found, page = [], listing.Page([], BEGINNING, more=True, looked_at=0)
    while page.more:
        page = await listing.dead(
            bench.store, (bench.namespace, TOPIC), query, after=page.place, look_at=look_at, limit=size
        )
        found += [place.item_id for place in page.found]
    return found


@pytest.mark.parametrize("size", [1, 2, 9, 10])
async def test_pages_hold_every_item_once(bench: Bench, size: int) -> None:
    """In the order of the index, from its beginning and from its end."""
    ids = [f"i{index}" for index in range(9)]
    await bench.enqueue(*map(new, ids))
    assert await walk(bench, READY, size) == ids
    assert await walk(bench, READY._replace(backwards=True), size) == ids[::-1]


@pytest.mark.parametrize("size", [1, 2, 4])
async def test_items_of_one_instant_follow_their_bytes(bench: Bench, size: int) -> None:
    """A place among members of equal score is found in whatever language the store speaks."""
    await bury(bench, *reversed(IDS))
    assert await walk_dead(bench, DeadQuery(), size) == IDS
    assert await walk(bench, ItemQuery("dead", backwards=True), size) == IDS[::-1]


async def test_a_place_holds_though_its_item_has_gone(bench: Bench) -> None:
    """The next page begins where it would have."""
    await bury(bench, *IDS)
    topic = (bench.namespace, TOPIC)
    first = await listing.dead(bench.store, topic, DeadQuery(), look_at=100, limit=3)
    await bench.store.discard(*topic, [place.item_id for place in first.found])
    rest = await listing.dead(bench.store, topic, DeadQuery(), after=first.place, look_at=100, limit=100)
    assert [place.item_id for place in (*first.found, *rest.found)] == IDS


async def test_a_call_looks_at_no_more_than_it_may(bench: Bench) -> None:
    """A page may be empty before the last; the next call goes on behind what was looked at."""
    await bench.enqueue(*(new(f"i{index}") for index in range(9)))
    await bench.claim(1, worker="other")
    nobody = READY._replace(worker_id="w9")
    page = await listing.items(bench.store, (bench.namespace, TOPIC), nobody, look_at=3, limit=5)
    assert (page.found, page.more, page.looked_at) == ([], True, 3)
    assert await walk(bench, nobody, 5, look_at=3) == []


async def test_items_are_found_by_worker(bench: Bench) -> None:
    """Those that it holds."""
    await bench.enqueue(*(new(f"i{index}") for index in range(6)))
    for worker in ("w1", "w2", "w1"):
        await bench.claim(2, worker=worker)
    assert await walk(bench, ItemQuery("leases", worker_id="w2"), 10) == ["i2", "i3"]


async def test_finished_items_are_found_by_status(bench: Bench) -> None:
    """Latest first."""
    for item_id in ("a", "b", "c"):
        await bench.enqueue(new(item_id)._replace(reply_group="-"))
        if item_id == "b":
            await bench.store.cancel(bench.namespace, TOPIC, [item_id], "")
        else:
            await bench.complete(await bench.claim_one())
        bench.clock.pass_ms(10)
    finished = ItemQuery("finished", backwards=True)
    assert await walk(bench, finished._replace(status="DONE"), 10) == ["c", "a"]
    assert await walk(bench, finished._replace(status="CANCELLED"), 10) == ["b"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (DeadQuery(error_type="Other"), ["c", "d"]),
        (DeadQuery(error_type='Bo"om ü\\'), ["e"]),
        (DeadQuery(reason="LEASE_LOST"), []),
        (DeadQuery(reason="NON_RETRYABLE", error_type="Boom"), ["a", "b"]),
        (DeadQuery(spec_parts=(b"needle",)), ["b"]),
        (DeadQuery(spec_parts=(b"hay", b"needle")), ["b"]),
    ],
)
async def test_dead_letters_are_found_by_what_they_are(bench: Bench, query: DeadQuery, expected: list[str]) -> None:
    """By reason, by the type of the last failure, whatever it is written with, and by parts of the description."""
    await bury(bench, "a", spec=b"hay")
    await bury(bench, "b", spec=b"hay needle")
    await bury(bench, "c", "d", kind="Other")
    await bury(bench, "e", kind='Bo"om ü\\')
    assert await walk_dead(bench, query) == expected
    assert await walk_dead(bench, query, look_at=1) == expected


async def test_dead_letters_are_found_by_time(bench: Bench) -> None:
    """From an instant on, and before one."""
    instants = []
    for item_id in ("a", "b", "c"):
        await bury(bench, item_id)
        instants.append(bench.clock())
        bench.clock.pass_ms(10)
    page = await listing.dead(
        bench.store,
        (bench.namespace, TOPIC),
        DeadQuery(until_ms=instants[2]),
        after=Place(str(instants[1])),
        look_at=100,
        limit=100,
    )
    assert ([place.item_id for place in page.found], page.more) == (["b"], False)


@pytest.mark.parametrize("look_at", [1, 2, 100])
async def test_dead_letters_are_counted_in_groups(bench: Bench, look_at: int) -> None:
    """By reason and type, with how many nobody waits for; what calls count adds up."""
    await bury(bench, "a", "b")
    bench.clock.pass_ms(10)
    await bury(bench, "c")
    await bury(bench, "d", kind="Other")
    await bench.enqueue(new("e")._replace(on_dead_letter="RESUME_WITH_FAILURE"))
    await bench.fail(await bench.claim_one(), kind="Other", fatal=True)
    counted: dict[tuple[str, str], tuple[int, int]] = {}
    place, more = BEGINNING, True
    while more:
        found = await listing.dead_groups(
            bench.store, (bench.namespace, TOPIC), DeadQuery(), after=place, look_at=look_at
        )
        for group in found.groups:
            total, settled = counted.get((group.reason, group.error_type), (0, 0))
            counted[group.reason, group.error_type] = (total + group.total, settled + group.settled)
        place, more = found.place, found.more
    assert counted == {("NON_RETRYABLE", "Boom"): (3, 0), ("NON_RETRYABLE", "Other"): (2, 1)}


async def test_a_group_knows_its_first_and_last(bench: Bench) -> None:
    """When they died, and an example."""
    await bury(bench, "a")
    first = bench.clock()
    bench.clock.pass_ms(10)
    await bury(bench, "b")
    (group,) = (await listing.dead_groups(bench.store, (bench.namespace, TOPIC), DeadQuery(), look_at=100)).groups
    assert (group.first_ms, group.last_ms, group.last_id) == (first, first + 10, "b")
