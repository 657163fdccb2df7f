"""What the store tells of itself: facts of every transition, once, and how outboxes stand."""

from collections import Counter
from itertools import permutations

import pytest

from bloge.remote_workers.errors import Reason
from bloge_server.store import topics
from bloge_server.store.topics import TopicView
from bloge_server.telemetry.probe import Facts, Probe, Topic

from .conftest import LEASE_MS, OFFER_MS, TOPIC, Bench, new


class Recorder(Probe):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, str]] = Counter()
        self.spans: dict[str, dict[int, int]] = {}
        self.answers: Counter[tuple[str, Reason | None]] = Counter()
        self.calls: list[tuple[str, bool]] = []

    def called(self, script: str, seconds: float, *, failed: bool) -> None:
        """Take note."""
        assert seconds > 0
        self.calls.append((script, failed))

    def happened(self, topic: Topic, facts: Facts) -> None:
        """Take note."""
        assert topic[1] == TOPIC
        self.events.update({(event, word): number for event, word, number in facts.events})
        self.spans.update({span: dict(counts) for span, counts in facts.spans})

    def judged(self, topic: Topic, report: str, reason: Reason | None, count: int) -> None:
        """Take note."""
        assert topic[1] == TOPIC
        self.answers[report, reason] += count


@pytest.fixture
def told(bench: Bench) -> Recorder:
    """Return what hears the store of the bench."""
    recorder = Recorder()
    bench.store._probe = bench.store.calls._probe = recorder
    return recorder


async def test_the_way_of_items_is_told_in_numbers(bench: Bench, told: Recorder) -> None:
    """Each step counts once, with what it took; a batch is one telling."""
    await bench.enqueue(new("a"), new("b"), new("c"))
    bench.clock.pass_ms(40)
    leases = await bench.claim(3)
    assert told.spans == {"wait": {40: 3}}
    bench.clock.pass_ms(60)
    await bench.complete(leases[0].token)
    assert told.spans == {"wait": {40: 3}, "run": {60: 1}, "total": {100: 1}}
    await bench.fail(leases[1].token)
    await bench.release(leases[2].token)
    assert told.events == {
        ("enqueued", ""): 3, ("claimed", ""): 3, ("outcome", "COMPLETED"): 1, ("dead_letter", "BUDGET_SPENT"): 1,
        ("retry", "RELEASED"): 1,
    }  # fmt: skip
    assert told.answers == {("complete", None): 1, ("fail", None): 1, ("release", None): 1}


async def test_what_falls_due_is_told_by_whoever_settles_it(bench: Bench, told: Recorder) -> None:
    """A lapsed offer, a lost lease and a passed deadline count once, though several calls meet them."""
    await bench.enqueue(new("a"), new("b", suspend_timeout_ms=2 * LEASE_MS))
    await bench.claim(1, offer=True)
    bench.clock.pass_ms(OFFER_MS)
    await bench.sweep()
    await bench.sweep()
    token = await bench.claim_one()
    bench.clock.pass_ms(LEASE_MS)
    await bench.heartbeat(token)
    await bench.sweep()
    bench.clock.pass_ms(LEASE_MS)
    await bench.sweep()
    await bench.sweep()
    del told.events["claimed", ""], told.events["enqueued", ""]
    assert told.events == {
        ("retry", "OFFER_EXPIRED"): 1, ("resumed", ""): 1, ("retry", "LEASE_LOST"): 2, ("outcome", "TIMED_OUT"): 1,
    }  # fmt: skip


async def test_refused_reports_are_told_with_their_reason(bench: Bench, told: Recorder) -> None:
    """A late output that was kept is told besides."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    await bench.store.cancel(bench.namespace, TOPIC, ["a"], "because")
    await bench.complete(token)
    assert told.answers == {("complete", Reason.CANCELLED): 1}
    assert told.events["late_output", "CANCELLED"] == 1


async def test_a_script_that_breaks_is_told(bench: Bench, told: Recorder) -> None:
    """And what it would have done is not."""
    await bench.client.set(f"bloge:{{{bench.namespace}/t/{TOPIC}}}:ready", "no index")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await bench.enqueue(new())
    assert told.calls[-1] == ("enqueue", True)
    assert told.events == {}


async def _view(bench: Bench) -> TopicView:
    return await topics.describe(bench.store, bench.namespace, TOPIC)


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
async def test_unacknowledged_outcomes_are_counted_in_any_order(bench: Bench, order: tuple[str, ...]) -> None:
    """Their number, and the age of the oldest that is left, whichever is acknowledged first."""
    finished: dict[str, int] = {}
    for item_id in "abc":
        await bench.enqueue(new(item_id))
        await bench.complete(await bench.claim_one())
        finished[item_id] = bench.clock.now
        bench.clock.pass_ms(10)
    for item_id in order:
        view = await _view(bench)
        assert view.unacknowledged == len(finished)
        assert view.oldest_unacknowledged_ms == bench.clock.now - min(finished.values())
        await bench.store.acknowledge(bench.namespace, TOPIC, [item_id, "nothing"])
        del finished[item_id]
    view = await _view(bench)
    assert (view.unacknowledged, view.oldest_unacknowledged_ms) == (0, -1)


async def test_groups_wait_for_themselves(bench: Bench) -> None:
    """One group's acknowledgement says nothing of another's, and several may be acknowledged at once."""
    await bench.enqueue(new("a", reply_group="g1"), new("b", reply_group="g2"), new("c", reply_group="g2"))
    for lease in await bench.claim(3):
        await bench.complete(lease.token)
        bench.clock.pass_ms(5)
    await bench.store.acknowledge(bench.namespace, TOPIC, ["a", "b"])
    view = await _view(bench)
    assert (view.unacknowledged, view.oldest_unacknowledged_ms) == (1, 5)


async def test_the_oldest_ready_item_is_found_behind_higher_priorities(bench: Bench) -> None:
    """An item of low priority that starves is what the age tells of."""
    await bench.enqueue(new("low", priority=1))
    bench.clock.pass_ms(500)
    await bench.enqueue(new("high", priority=99), new("middle", priority=50))
    assert (await _view(bench)).oldest_ready_ms == 500
