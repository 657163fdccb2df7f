"""The auditor finds executions whose item, journal and list entry do not agree, and mends them."""

import pytest

from bloge_server.domain.execution import ExecutionRecord, ExecutionStatus, Facts
from bloge_server.store import keys
from bloge_server.store.audit import Auditor
from bloge_server.store.execution_list import ExecutionList
from bloge_server.store.findings import Finding
from bloge_server.store.journals import Journals
from bloge_server.store.redis_store import RedisStore
from support.releases import next_release

from .conftest import START_MS, TOPIC, Bench, new

FACTS = Facts(TOPIC, "g", "hash", "")
MINUTE_MS = 60_000


async def findings(bench: Bench, *, repair: bool = False, topic: str = "") -> list[Finding]:
    """Return what the audit finds."""
    auditor = Auditor(bench.store, bench.namespace, topic, repair=repair)
    return [finding for step in [step async for step in auditor.run()] for finding in step.findings]


async def problems(bench: Bench, *, repair: bool = False) -> list[tuple[str, str, bool]]:
    """Return id, problem and whether it was repaired, of each finding."""
    return [(each.item_id, each.problem, each.repaired) for each in await findings(bench, repair=repair)]


def entry(status: ExecutionStatus = ExecutionStatus.RUNNING) -> ExecutionRecord:
    """Return the record that the list's entry is made of."""
    return ExecutionRecord("e", FACTS, status, START_MS, None, 1)


@pytest.fixture
async def sound(bench: Bench) -> Bench:
    """A store with one execution that runs."""
    journals = Journals(bench.store.calls)
    await journals.record(bench.namespace, "e", FACTS)
    await bench.enqueue(new("e", item_type="EXECUTE_GRAPH", reply_group="-"))
    (lease,) = await bench.claim()
    await journals.open(bench.namespace, lease.token)
    await journals.append(lease.token, 1, [b"a"], None)
    await ExecutionList(bench.store.calls).note(bench.namespace, [entry()])
    return bench


async def test_a_sound_store_has_no_findings(sound: Bench) -> None:
    """Item, journal and list agree."""
    assert await findings(sound) == []


async def test_a_journal_without_its_item_is_removed(sound: Bench) -> None:
    """Unless it is so young that its item may be on its way."""
    base = keys.topic_base(sound.namespace, TOPIC)
    await sound.client.delete(f"{base}item:e")
    await sound.client.zrem(f"{base}leases", "e")
    told = "a journal without its work item"
    assert await problems(sound) == [("e", told, False)]
    assert await problems(sound, repair=True) == [("e", told, False)]
    sound.clock.pass_ms(MINUTE_MS)
    assert ("e", told, True) in await problems(sound, repair=True)
    assert await problems(sound) == []
    assert await sound.client.exists(keys.execution_keys(sound.namespace, "e")[0]) == 0


async def test_a_journal_without_its_record_is_removed(sound: Bench) -> None:
    """Nobody could open it."""
    await sound.client.delete(keys.execution_keys(sound.namespace, "e")[1])
    told = [("e", "a journal without its record", False), ("e", "no record, but stands in the list", False)]
    assert await problems(sound) == told
    assert await problems(sound, repair=True) == [(*each[:2], True) for each in told]
    assert await problems(sound) == []


async def test_an_execution_that_is_not_listed_is_put_there(sound: Bench) -> None:
    """As when a server died right after a start."""
    await ExecutionList(sound.store.calls).forget(sound.namespace, [("e", START_MS)])
    assert await problems(sound) == [("e", "RUNNING, but is not in the list", False)]
    assert await problems(sound, repair=True) == [("e", "RUNNING, but is not in the list", True)]
    assert await problems(sound) == []


async def test_an_entry_that_is_behind_is_mended(bench: Bench) -> None:
    """As when a server died right after an append."""
    journals = Journals(bench.store.calls)
    await journals.record(bench.namespace, "e", FACTS)
    await bench.enqueue(new("e", item_type="EXECUTE_GRAPH", reply_group="-"))
    token = await bench.claim_one()
    await ExecutionList(bench.store.calls).note(bench.namespace, [entry(ExecutionStatus.PENDING)])
    await journals.open(bench.namespace, token)
    assert await problems(bench) == [("e", "RUNNING, but is listed as PENDING", False)]
    assert await problems(bench, repair=True) == [("e", "RUNNING, but is listed as PENDING", True)]
    assert await problems(bench) == []


async def test_a_topic_may_be_audited_alone(sound: Bench) -> None:
    """Executions of others are left out."""
    await ExecutionList(sound.store.calls).forget(sound.namespace, [("e", START_MS)])
    assert await findings(sound, topic="other") == []
    assert len(await findings(sound, topic=TOPIC)) == 1


async def test_what_only_a_later_release_can_read_is_left_alone(bench: Bench) -> None:
    """Neither judged nor repaired."""
    upgraded = RedisStore(bench.way, clock=bench.clock, load=next_release)
    await Journals(upgraded.calls).record(bench.namespace, "e", FACTS)
    bench.clock.pass_ms(MINUTE_MS)
    assert await problems(bench, repair=True) == []
    assert await bench.client.exists(keys.execution_keys(bench.namespace, "e")[1]) == 1
