"""Every transition on a real store, with time in the test's hands."""

import pytest

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lifecycle import Outcome, Status
from bloge_server.domain.reports import Complete
from bloge_server.domain.work_item import ClaimOrder, NewItem, TopicLimits
from bloge_server.store import topics

from .conftest import LEASE_MS, OFFER_MS, TOPIC, Bench, new


async def test_enqueue_makes_an_item_ready(bench: Bench) -> None:
    """An enqueued item stands in `ready`, and in `deadlines` if it has a suspend deadline."""
    assert await bench.enqueue(new(suspend_timeout_ms=1000)) == ["CREATED"]
    assert (await bench.item()).state.status is Status.READY
    assert await bench.indexes() == {"ready", "deadlines"}


async def test_enqueue_is_idempotent_by_id_and_content(bench: Bench) -> None:
    """The same content again changes nothing; other content is told apart, within a batch too."""
    assert await bench.enqueue(new(), new(), new(digest="other")) == ["CREATED", "EXISTS", "DIFFERS"]
    assert await bench.enqueue(new(), new(digest="other")) == ["EXISTS", "DIFFERS"]


async def test_enqueue_with_a_delay_waits(bench: Bench) -> None:
    """An item with a start delay cannot be claimed before it is over."""
    await bench.enqueue(new(start_delay_ms=500))
    assert await bench.indexes() == {"retry"}
    assert await bench.claim() == []
    bench.clock.pass_ms(500)
    assert len(await bench.claim()) == 1


async def test_backlog_limit_refuses(bench: Bench) -> None:
    """Beyond the backlog limit an enqueue is refused, and the items before it stand."""
    limited = type(bench.store)(bench.way, limits=TopicLimits(backlog=2), clock=bench.clock)
    statuses = await limited.enqueue(bench.namespace, "limited", [new("a"), new("b"), new("c")])
    assert [each.status for each in statuses] == ["CREATED", "CREATED", "FULL"]


async def test_a_topics_own_limit_goes_before_the_servers(bench: Bench) -> None:
    """It can be raised, lowered, switched off, and given back; also before the topic has items."""
    limited = type(bench.store)(bench.way, limits=TopicLimits(backlog=1), clock=bench.clock)
    place = (bench.namespace, "own")
    await topics.configure(limited, *place, {"backlog_limit": 2})
    assert (bench.namespace, "own") in await limited.all_topics()
    assert [each.status for each in await limited.enqueue(*place, [new("a"), new("b"), new("c")])] == [
        "CREATED", "CREATED", "FULL",
    ]  # fmt: skip
    await topics.configure(limited, *place, {"backlog_limit": 0})
    assert [each.status for each in await limited.enqueue(*place, [new("c")])] == ["CREATED"]
    assert (await topics.describe(limited, *place)).limits.backlog == 0
    await topics.configure(limited, *place, {"backlog_limit": None})
    assert [each.status for each in await limited.enqueue(*place, [new("d")])] == ["FULL"]


async def _dead(bench: Bench, *item_ids: str) -> None:
    """Make dead letters, a millisecond apart."""
    for item_id in item_ids:
        await bench.enqueue(new(item_id))
        await bench.fail(await bench.claim_one(), fatal=True)
        bench.clock.pass_ms(1)


async def test_dead_letters_beyond_the_limit_stay_by_default(bench: Bench) -> None:
    """They are counted, so that somebody is told."""
    await _dead(bench, "a", "b", "c")
    await topics.configure(bench.store, bench.namespace, TOPIC, {"dead_letter_limit": 1})
    swept = await bench.store.sweep(bench.namespace, TOPIC)
    assert (swept.discarded, swept.dead_beyond_limit) == (0, 2)
    assert await bench.indexes("a") == {"dead"}


async def test_the_oldest_dead_letters_go_where_the_policy_says_so(bench: Bench) -> None:
    """Their nodes resume with a failure, as if a person had discarded them; the others stay."""
    await _dead(bench, "a", "b", "c")
    await topics.configure(
        bench.store, bench.namespace, TOPIC, {"dead_letter_limit": 1, "dead_letter_policy": "DISCARD_OLDEST"}
    )
    swept = await bench.store.sweep(bench.namespace, TOPIC)
    assert (swept.discarded, swept.dead_beyond_limit) == (2, 0)
    assert await bench.outbox() == ["a", "b"]
    outcome = (await bench.item("a")).outcome
    assert outcome is not None
    assert (outcome.kind, outcome.discarded) == ("FAILED", True)
    assert await bench.indexes("c") == {"dead"}


async def test_a_brief_record_leaves_out_what_is_large(bench: Bench) -> None:
    """Lists need neither payload nor output, nor what late outputs hold."""
    await bench.enqueue(new())
    late = await bench.claim_one()
    bench.clock.pass_ms(LEASE_MS)
    await bench.sweep()
    bench.clock.pass_ms(500)
    assert (await bench.complete(await bench.claim_one())).accepted
    assert (await bench.complete(late, b"late")).late_output_kept
    (brief,) = await bench.store.get(bench.namespace, TOPIC, ["a"], brief=True)
    whole = await bench.item()
    assert brief is not None
    late_output = f"late_output:{late.fence}"
    assert whole.fields.keys() - brief.fields.keys() == {"payload", "output"}
    assert whole.fields[late_output] == brief.fields[late_output] + b"late"


async def test_claims_follow_priority_then_age(bench: Bench) -> None:
    """Higher priority goes first, then the older; an item keeps its place through a retry."""
    await bench.enqueue(new("old", max_retries=1), new("young"), new("urgent", priority=99), new("lazy", priority=0))
    leases = await bench.claim(2)
    assert [lease.item_id for lease in leases] == ["urgent", "old"]
    await bench.fail(leases[1].token)
    assert [lease.item_id for lease in await bench.claim(3)] == ["old", "young", "lazy"]


async def test_fences_rise_with_each_claim(bench: Bench) -> None:
    """A later claim has a larger fence, even if the clock stands still or goes back."""
    await bench.enqueue(new(max_retries=5))
    first = (await bench.claim())[0]
    await bench.fail(first.token)
    bench.clock.pass_ms(-1000)
    bench.clock.pass_ms(1000)
    second = (await bench.claim())[0]
    assert second.fence > first.fence
    assert (second.attempt, second.claim_count) == (2, 2)


async def test_claim_stops_at_the_byte_limit(bench: Bench) -> None:
    """The first item is given whatever its size, others only while they fit."""
    await bench.enqueue(*(new(name, payload=b"x" * 100) for name in "abc"))
    order = ClaimOrder("w1", 5, LEASE_MS, max_bytes=250)
    claimed = await bench.store.claim(bench.namespace, "topic", order._replace(max_bytes=10))
    assert [lease.item_id for lease in claimed.leases] == ["a"]
    assert claimed.more
    claimed = await bench.store.claim(bench.namespace, "topic", order)
    assert [lease.item_id for lease in claimed.leases] == ["b", "c"]


async def test_a_repeated_request_id_returns_the_same_leases(bench: Bench) -> None:
    """A claim whose answer was lost can be asked again, and claims nothing more."""
    await bench.enqueue(new("a"), new("b"))
    first = await bench.claim(request_id="r1")
    assert await bench.claim(request_id="r1") == first
    assert [lease.item_id for lease in await bench.claim(request_id="r2")] == ["b"]


async def test_a_repeated_request_settles_what_is_due_first(bench: Bench) -> None:
    """A lease whose item has timed out meanwhile, or which has lapsed, is not given again."""
    await bench.enqueue(new("a", suspend_timeout_ms=1000), new("b"))
    await bench.claim(2, request_id="r")
    bench.clock.pass_ms(1001)
    assert [lease.item_id for lease in await bench.claim(2, request_id="r")] == ["b"]
    assert (await bench.item("a")).state.outcome is Outcome.TIMED_OUT
    bench.clock.pass_ms(LEASE_MS)
    assert await bench.claim(2, request_id="r") == []
    assert (await bench.item("b")).state.lease_loss_count == 1


async def test_complete_finishes_with_outcome_and_outbox(bench: Bench) -> None:
    """An accepted output is DONE, out of every open index, and in the outbox."""
    await bench.enqueue(new(suspend_timeout_ms=60_000))
    verdict = await bench.complete(await bench.claim_one(), b'{"x":1}')
    stored = await bench.item()
    assert verdict.accepted
    assert (stored.state.status, stored.state.outcome) == (Status.DONE, Outcome.COMPLETED)
    assert stored.fields["output"] == b'{"x":1}'
    assert await bench.indexes() == {"outbox:group"}


async def test_business_error_resumes_without_retry(bench: Bench) -> None:
    """A business error ends the item with outcome FAILED, whatever the retry budget."""
    await bench.enqueue(new(max_retries=5))
    assert (await bench.business_error(await bench.claim_one())).accepted
    stored = await bench.item()
    assert (stored.state.status, stored.state.outcome) == (Status.DONE, Outcome.FAILED)


async def test_failures_spend_the_budget_then_make_a_dead_letter(bench: Bench) -> None:
    """With two retries the third failure makes a dead letter that keeps its node suspended."""
    await bench.enqueue(new(max_retries=2, backoff="FIXED:100:0"))
    for _ in range(2):
        verdict = await bench.fail(await bench.claim_one())
        assert (verdict.status, verdict.retry_ms) == ("RETRY_WAIT", 100)
        assert await bench.claim() == []
        bench.clock.pass_ms(100)
    verdict = await bench.fail(await bench.claim_one())
    stored = await bench.item()
    assert verdict.status == "DEAD_LETTER"
    assert (stored.dead_reason, stored.state.outcome) == ("BUDGET_SPENT", None)
    assert await bench.indexes() == {"dead"}


@pytest.mark.parametrize(
    ("item", "fatal", "reason"),
    [
        (new(max_retries=3), True, "NON_RETRYABLE"),
        (new(max_retries=3, fatal_error_types="Other\nBoom"), False, "NON_RETRYABLE"),
        (new(max_retries=3, backoff="FIXED:5000:0", suspend_timeout_ms=4000), False, "RETRY_PAST_DEADLINE"),
    ],
)
async def test_failures_that_are_not_retried(bench: Bench, item: NewItem, *, fatal: bool, reason: str) -> None:
    """A flag, a listed error type or a deadline that is too near makes a dead letter at once."""
    await bench.enqueue(item)
    await bench.fail(await bench.claim_one(), fatal=fatal)
    assert (await bench.item()).dead_reason == reason


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        ("FIXED:100:0", [100, 100, 100]),
        ("EXPONENTIAL:100:0", [100, 200, 400]),
        ("EXPONENTIAL:100:150", [100, 150, 150]),
    ],
)
async def test_backoff_grows_as_the_policy_says(bench: Bench, backoff: str, delays: list[int]) -> None:
    """The delay before each retry follows the strategy and its maximum."""
    await bench.enqueue(new(max_retries=3, backoff=backoff))
    seen = []
    for _ in delays:
        verdict = await bench.fail(await bench.claim_one())
        seen.append(verdict.retry_ms)
        bench.clock.pass_ms(verdict.retry_ms or 0)
    assert seen == delays


async def test_jitter_stays_within_the_exponential_delay(bench: Bench) -> None:
    """Full jitter draws from zero up to the exponential delay."""
    await bench.enqueue(new(max_retries=1, backoff="JITTER:1000:0"))
    verdict = await bench.fail(await bench.claim_one())
    assert verdict.retry_ms is not None
    assert 0 <= verdict.retry_ms < 1000


async def test_a_worker_may_choose_the_delay(bench: Bench) -> None:
    """`retry_after` overrides the policy's delay and costs a retry all the same."""
    await bench.enqueue(new(max_retries=1, backoff="FIXED:100:0"))
    verdict = await bench.fail(await bench.claim_one(), after=7)
    assert verdict.retry_ms == 7
    assert (await bench.item()).state.retry_count == 1


async def test_resume_with_failure_emits_at_once(bench: Bench) -> None:
    """A dead letter of an item that asks for it resumes its node in the same script."""
    await bench.enqueue(new(on_dead_letter="RESUME_WITH_FAILURE"))
    await bench.fail(await bench.claim_one())
    stored = await bench.item()
    assert (stored.state.status, stored.state.outcome) == (Status.DEAD_LETTER, Outcome.FAILED)
    assert await bench.indexes() == {"dead", "outbox:group"}


async def test_release_costs_nothing(bench: Bench) -> None:
    """A released item is ready again with its budgets untouched, at its old place."""
    await bench.enqueue(new("a"), new("b"))
    assert (await bench.release(await bench.claim_one())).accepted
    (lease,) = await bench.claim()
    assert (lease.item_id, lease.attempt, lease.claim_count) == ("a", 1, 2)


async def test_release_with_a_delay_waits(bench: Bench) -> None:
    """A delayed release waits in `retry`."""
    await bench.enqueue(new())
    await bench.release(await bench.claim_one(), delay=50)
    assert await bench.claim() == []
    bench.clock.pass_ms(50)
    assert len(await bench.claim()) == 1


async def test_too_many_releases_make_a_dead_letter(bench: Bench) -> None:
    """The 101st release parks the item; releases of draining workers do not count."""
    await bench.enqueue(new())
    for _ in range(120):
        await bench.release(await bench.claim_one(), draining=True)
    for _ in range(100):
        assert (await bench.release(await bench.claim_one())).retry_ms == 0
    verdict = await bench.release(await bench.claim_one())
    assert (verdict.accepted, verdict.status, verdict.retry_ms) == (True, "DEAD_LETTER", None)
    assert (await bench.item()).dead_reason == "RELEASED_TOO_OFTEN"


async def test_an_expired_lease_costs_a_loss_not_a_retry(bench: Bench) -> None:
    """A lapsed lease waits a moment, then the item is claimable with the same attempt number."""
    await bench.enqueue(new())
    await bench.claim_one()
    bench.clock.pass_ms(LEASE_MS)
    await bench.sweep()
    assert (await bench.item()).state.status is Status.RETRY_WAIT
    bench.clock.pass_ms(500)
    (lease,) = await bench.claim(worker="w2")
    assert (lease.attempt, lease.claim_count) == (1, 2)
    assert (await bench.item()).state.lease_loss_count == 1


async def test_lost_leases_beyond_the_cap_make_a_dead_letter(bench: Bench) -> None:
    """The poison guard: with a cap of one, the second loss parks the item."""
    await bench.enqueue(new(max_lease_losses=1))
    for _ in range(2):
        await bench.claim_one()
        bench.clock.pass_ms(LEASE_MS)
        await bench.sweep()
        bench.clock.pass_ms(500)
    assert (await bench.item()).dead_reason == "LEASE_LOST"


async def test_progress_resets_the_losses(bench: Bench) -> None:
    """Losses count only while there is no progress between them; the details reach the next attempt."""
    await bench.enqueue(new(max_lease_losses=1))
    for _ in range(4):
        token = await bench.claim_one()
        assert (await bench.heartbeat(token, progress=b"half")).accepted
        bench.clock.pass_ms(LEASE_MS)
        await bench.sweep()
        bench.clock.pass_ms(500)
    (lease,) = await bench.claim()
    assert lease.progress == b"half"


async def test_an_unreceived_offer_comes_back_for_free(bench: Bench) -> None:
    """An offer without receipt is ready again after the offer lease, with every counter but deliveries untouched."""
    await bench.enqueue(new())
    token = await bench.claim_one(offer=True)
    bench.clock.pass_ms(OFFER_MS)
    await bench.sweep()
    stored = await bench.item()
    assert (stored.state.status, stored.state.lease_loss_count, stored.state.retry_count) == (Status.READY, 0, 0)
    assert (await bench.receive(token)).reason is Reason.OFFER_WITHDRAWN


async def test_a_receipt_gives_the_full_lease(bench: Bench) -> None:
    """After the receipt the lease outlasts the offer."""
    await bench.enqueue(new())
    token = await bench.claim_one(offer=True)
    assert (await bench.receive(token)).lease_ms == LEASE_MS
    bench.clock.pass_ms(OFFER_MS)
    await bench.sweep()
    assert (await bench.item()).state.status is Status.CLAIMED


async def test_the_full_lease_runs_from_when_the_receipt_came(bench: Bench) -> None:
    """A receipt that the server kept back for a while makes no lease longer."""
    await bench.enqueue(new())
    token = await bench.claim_one(offer=True)
    bench.clock.pass_ms(700)
    assert (await bench.receive(token, age_ms=600)).lease_ms == LEASE_MS - 600
    assert (await bench.item()).lease_deadline_ms == bench.clock.now + LEASE_MS - 600


async def test_a_repeated_receipt_promises_no_more_than_the_first(bench: Bench) -> None:
    """A worker must never count a longer lease than the store does."""
    await bench.enqueue(new())
    token = await bench.claim_one(offer=True)
    await bench.receive(token)
    bench.clock.pass_ms(1000)
    assert (await bench.receive(token)).lease_ms == LEASE_MS - 1000
    assert (await bench.item()).lease_deadline_ms == bench.clock.now + LEASE_MS - 1000


async def test_an_offer_never_outlasts_the_lease(bench: Bench) -> None:
    """With a lease shorter than the offer lease a dead worker's item comes back after the lease, receipt or not."""
    await bench.enqueue(new())
    order = ClaimOrder("w1", 1, lease_ms=1000, offer_lease_ms=OFFER_MS)
    (lease,) = (await bench.store.claim(bench.namespace, "topic", order)).leases
    assert (await bench.heartbeat(lease.token)).lease_ms == 1000


async def test_heartbeats_only_move_the_deadline_forward(bench: Bench) -> None:
    """A short heartbeat does not shorten a lease, a later one extends it."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    assert (await bench.heartbeat(token, lease_ms=1000)).lease_ms == LEASE_MS
    bench.clock.pass_ms(20_000)
    assert (await bench.heartbeat(token)).lease_ms == LEASE_MS


async def test_heartbeats_stop_at_the_attempt_timeout(bench: Bench) -> None:
    """However often it is heartbeated, a claim ends at its attempt timeout, as a failure."""
    await bench.enqueue(new(attempt_timeout_ms=40_000, max_retries=1))
    token = await bench.claim_one()
    bench.clock.pass_ms(20_000)
    assert (await bench.heartbeat(token)).lease_ms == 20_000
    bench.clock.pass_ms(20_000)
    assert (await bench.heartbeat(token)).reason is Reason.LEASE_EXPIRED
    stored = await bench.item()
    assert (stored.state.status, stored.state.retry_count) == (Status.RETRY_WAIT, 1)


@pytest.mark.parametrize("prepare", ["ready", "claimed", "retry", "dead"])
async def test_suspend_deadlines_fire_in_every_open_state(bench: Bench, prepare: str) -> None:
    """A node stops waiting at its deadline wherever its item stands; a dead letter stays one."""
    await bench.enqueue(new(suspend_timeout_ms=10_000, max_retries=int(prepare == "retry"), backoff="FIXED:9000:0"))
    if prepare != "ready":
        token = await bench.claim_one()
    if prepare in {"retry", "dead"}:
        await bench.fail(token)
    bench.clock.pass_ms(10_000)
    await bench.sweep()
    stored = await bench.item()
    expected = Status.DEAD_LETTER if prepare == "dead" else Status.CANCELLED
    assert (stored.state.status, stored.state.outcome) == (expected, Outcome.TIMED_OUT)
    assert await bench.indexes() == ({"dead"} if prepare == "dead" else set()) | {"outbox:group"}


async def test_a_passed_deadline_is_settled_before_a_report_is_judged(bench: Bench) -> None:
    """A report after the deadline is refused even if no sweep ran, and its output is kept."""
    await bench.enqueue(new(suspend_timeout_ms=10_000))
    token = await bench.claim_one()
    bench.clock.pass_ms(10_000)
    verdict = await bench.complete(token, b"late")
    assert (verdict.reason, verdict.late_output_kept) == (Reason.DEADLINE_PASSED, True)
    assert (await bench.item()).state.outcome is Outcome.TIMED_OUT


async def test_a_passed_deadline_is_settled_before_a_claim(bench: Bench) -> None:
    """An item whose node no longer waits is not handed out."""
    await bench.enqueue(new(suspend_timeout_ms=10), new("b"))
    bench.clock.pass_ms(10)
    assert [lease.item_id for lease in await bench.claim(2)] == ["b"]
    assert (await bench.item()).state.outcome is Outcome.TIMED_OUT


async def test_cancel_ends_an_open_item(bench: Bench) -> None:
    """A cancelled item has its outcome; its worker's reports are refused; cancelling again says the same."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    for _ in range(2):
        (acted,) = await bench.store.cancel(bench.namespace, "topic", ["a"], "why")
        assert acted.answer == "CANCELLED"
    assert (await bench.complete(token)).reason is Reason.CANCELLED
    assert await bench.indexes() == {"outbox:group"}


async def test_cancelling_an_execution_leaves_it_to_its_owner(bench: Bench) -> None:
    """An EXECUTE_GRAPH item stays claimable; its owner then completes it as cancelled."""
    await bench.enqueue(new(item_type="EXECUTE_GRAPH", attempt_timeout_ms=0))
    (acted,) = await bench.store.cancel(bench.namespace, "topic", ["a"], "why")
    assert acted == ("CANCEL_REQUESTED", "READY", "-")
    token = await bench.claim_one()
    assert (await bench.item()).fields["cancel_requested"] == b"1"
    report = Complete(token, "cancelled", b"", "c")
    assert (await bench.store.complete(bench.namespace, "topic", [report]))[0].accepted
    assert (await bench.item()).state.outcome is Outcome.CANCELLED


async def test_only_an_execution_may_be_completed_as_cancelled(bench: Bench) -> None:
    """A worker cannot cancel a node by its report; the lease stands."""
    await bench.enqueue(new())
    report = Complete(await bench.claim_one(), "cancelled", b"", "c")
    (verdict,) = await bench.store.complete(bench.namespace, "topic", [report])
    assert verdict.reason is Reason.INVALID_FIELD
    assert (await bench.item()).state.status is Status.CLAIMED


async def test_cancel_leaves_an_outcome_alone(bench: Bench) -> None:
    """A finished item keeps its outcome."""
    await bench.enqueue(new())
    await bench.complete(await bench.claim_one())
    (acted,) = await bench.store.cancel(bench.namespace, "topic", ["a"], "why")
    assert acted == ("HAS_OUTCOME", "DONE", "COMPLETED")


async def test_acknowledged_items_are_kept_for_the_retention_then_go(bench: Bench) -> None:
    """Retention begins with the acknowledgement."""
    await bench.enqueue(new())
    await bench.complete(await bench.claim_one())
    bench.clock.pass_ms(1_000_000)
    await bench.sweep()
    assert await bench.store.acknowledge(bench.namespace, "topic", ["a", "unknown"]) == 1
    assert await bench.indexes() == {"finished"}
    bench.clock.pass_ms(60_000)
    await bench.sweep()
    assert await bench.gone()


async def test_outcomes_are_read_in_the_order_of_their_emission(bench: Bench) -> None:
    """An outbox is read on from a place, and an outcome emitted later never hides before it."""
    await bench.enqueue(*(new(name) for name in "cab"))
    leases = await bench.claim(3)
    for lease in leases:
        await bench.complete(lease.token)
    assert await bench.outbox() == ["c", "a", "b"]
    first = await bench.store.read_outbox(bench.namespace, "topic", "group", after=0, limit=1)
    rest = await bench.store.read_outbox(bench.namespace, "topic", "group", after=first.place, limit=9)
    assert ([each.item_id for each in rest.outcomes], first.more, rest.more) == (["a", "b"], True, False)


async def test_sweep_tells_when_to_come_back(bench: Bench) -> None:
    """A pass returns the time until the earliest thing that is due, and that nothing is ahead of an empty topic."""
    assert (await bench.store.sweep(bench.namespace, "topic")).next_due_ms < 0
    await bench.enqueue(new(start_delay_ms=700, suspend_timeout_ms=900))
    assert (await bench.store.sweep(bench.namespace, "topic")).next_due_ms == 700


async def test_a_sweep_knows_the_retention_that_it_began(bench: Bench) -> None:
    """An item that times out without a reply group is finished at once, and the sweep comes back to remove it."""
    await bench.enqueue(new(suspend_timeout_ms=1000, reply_group="-"))
    bench.clock.pass_ms(1000)
    assert (await bench.store.sweep(bench.namespace, "topic")).next_due_ms == 60_000
    bench.clock.pass_ms(60_000)
    assert (await bench.store.sweep(bench.namespace, "topic")).purged == 1
