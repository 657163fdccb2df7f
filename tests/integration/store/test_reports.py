"""What the store answers to reports: late ones, repeated ones, forged ones, and those of a lease that moved on."""

import pytest

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.lifecycle import Outcome, Status
from bloge_server.domain.reports import Complete, Verdict

from .conftest import LEASE_MS, Bench, new


async def _lose(bench: Bench) -> LeaseToken:
    """Claim item a, let its lease lapse and its wait end; return the lost token."""
    token = await bench.claim_one()
    bench.clock.pass_ms(LEASE_MS)
    await bench.sweep()
    bench.clock.pass_ms(500)
    return token


async def test_the_same_report_again_gets_the_same_answer(bench: Bench) -> None:
    """Repeating a complete, a fail or a release changes nothing and says the same."""
    await bench.enqueue(new(max_retries=3, backoff="FIXED:10:0"))
    released = await bench.claim_one()
    assert await bench.release(released) == await bench.release(released)
    failed = await bench.claim_one()
    assert await bench.fail(failed) == await bench.fail(failed)
    bench.clock.pass_ms(10)
    done = await bench.claim_one()
    assert await bench.complete(done) == await bench.complete(done)
    assert (await bench.item()).state.retry_count == 1


async def test_the_same_report_twice_in_one_batch_gets_the_same_answer(bench: Bench) -> None:
    """A batch that holds a report twice takes it once."""
    await bench.enqueue(new())
    report = Complete(await bench.claim_one(), "complete", b"{}", "d")
    first, second = await bench.store.complete(bench.namespace, "topic", [report, report])
    assert first == second
    assert await bench.outbox() == ["a"]


async def test_the_first_report_decides_its_token(bench: Bench) -> None:
    """After a decision every other kind of report, and another output, is a conflict."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    await bench.complete(token, b"1", digest="1")
    for verdict in (
        await bench.complete(token, b"2", digest="2"),
        await bench.fail(token),
        await bench.release(token),
        await bench.heartbeat(token),
    ):
        assert verdict.reason is Reason.CONFLICTING_REPORT
    assert (await bench.item()).fields["output"] == b"1"


async def test_a_superseded_report_changes_nothing_but_the_late_outputs(bench: Bench) -> None:
    """The worker that lost its lease is told who took over; its output is kept aside."""
    await bench.enqueue(new())
    lost = await _lose(bench)
    current = await bench.claim_one("w2")
    bench.clock.pass_ms(1000)
    verdict = await bench.complete(lost, b"late")
    assert (verdict.reason, verdict.superseded_by, verdict.superseded_ago_ms) == (Reason.SUPERSEDED, "w2", 1000)
    assert verdict.late_output_kept
    assert (await bench.fail(lost, digest="x")).reason is Reason.CONFLICTING_REPORT
    assert (await bench.heartbeat(lost)).reason is Reason.CONFLICTING_REPORT
    stored = await bench.item()
    assert stored.state.status is Status.CLAIMED
    assert stored.fields[f"late_output:{lost.fence}"].endswith(b"w1 SUPERSEDED\nlate")
    assert (await bench.complete(current)).accepted


async def test_a_report_after_another_claim_finished_says_so(bench: Bench) -> None:
    """Once the later claim is done the earlier one learns that, not only that it was superseded."""
    await bench.enqueue(new())
    lost = await _lose(bench)
    await bench.complete(await bench.claim_one("w2"))
    assert (await bench.complete(lost, b"late")).reason is Reason.ALREADY_DONE_BY_OTHER


async def test_a_late_complete_that_nobody_superseded_counts(bench: Bench) -> None:
    """Work that is finished after the lease lapsed is accepted while nobody took over."""
    await bench.enqueue(new())
    lost = await _lose(bench)
    assert (await bench.complete(lost)).accepted
    assert (await bench.item()).state.outcome is Outcome.COMPLETED
    assert await bench.indexes() == {"outbox:group"}


async def test_a_late_complete_saves_a_dead_letter_of_lost_leases(bench: Bench) -> None:
    """An item parked for its losses is done after all when its last worker finishes it."""
    await bench.enqueue(new(max_lease_losses=0))
    lost = await _lose(bench)
    assert (await bench.item()).dead_reason == "LEASE_LOST"
    assert (await bench.heartbeat(lost)).reason is Reason.LEASE_EXPIRED
    assert (await bench.complete(lost)).accepted
    assert await bench.indexes() == {"outbox:group"}


async def test_a_complete_after_a_release_counts_while_nobody_took_over(bench: Bench) -> None:
    """Handing back gives up the right to run, not the work that was finished all the same."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    await bench.release(token)
    assert (await bench.heartbeat(token)).reason is Reason.CONFLICTING_REPORT
    assert (await bench.complete(token)).accepted


async def test_a_release_repeated_after_its_complete_gets_the_same_answer(bench: Bench) -> None:
    """Both decisions of one token are kept, each for its own repetition."""
    await bench.enqueue(new())
    token = await bench.claim_one()
    released, completed = await bench.release(token), await bench.complete(token)
    assert (await bench.release(token), await bench.complete(token)) == (released, completed)
    assert (await bench.fail(token)).reason is Reason.CONFLICTING_REPORT


async def test_a_late_heartbeat_takes_the_item_back(bench: Bench) -> None:
    """A worker that comes back in time keeps its item, with the same fence."""
    await bench.enqueue(new())
    lost = await _lose(bench)
    assert (await bench.heartbeat(lost)).accepted
    assert (await bench.item()).state.status is Status.CLAIMED
    assert await bench.indexes() == {"leases"}
    assert (await bench.complete(lost)).accepted


async def test_a_late_fail_costs_nothing_more_and_spends_the_token(bench: Bench) -> None:
    """The loss was counted; the error is kept for people; the token has had its say."""
    await bench.enqueue(new(max_retries=1))
    lost = await _lose(bench)
    assert (await bench.fail(lost)).accepted
    stored = await bench.item()
    assert (stored.state.status, stored.state.retry_count) == (Status.RETRY_WAIT, 0)
    assert b'"failure":{"type":"Boom"}' in stored.fields["history"]
    assert (await bench.complete(lost)).reason is Reason.CONFLICTING_REPORT


@pytest.mark.parametrize("claim", ["a/1/x", "a/99999999999999999999/x", "b/1/x", "a/1", "/1/x", "a/x/y", "a b/1/x"])
async def test_forged_tokens_are_refused(bench: Bench, claim: str) -> None:
    """A token that was never handed out learns nothing and changes nothing."""
    await bench.enqueue(new())
    await bench.claim_one()
    verdict = await bench.complete(LeaseToken(bench.namespace, "topic", claim))
    assert verdict.reason in {Reason.INVALID_TOKEN, Reason.NOT_FOUND}
    assert (await bench.item()).state.status is Status.CLAIMED


async def test_a_token_with_the_wrong_secret_is_refused(bench: Bench) -> None:
    """Knowing item and fence is not enough, for the current claim and for earlier ones."""
    await bench.enqueue(new())
    lost = await _lose(bench)
    current = await bench.claim_one("w2")
    for token in (lost, current):
        guessed = token._replace(claim=f"{token.item_id}/{token.fence}/guess")
        assert (await bench.complete(guessed)).reason is Reason.INVALID_TOKEN
        assert (await bench.heartbeat(guessed)).reason is Reason.INVALID_TOKEN


async def test_only_the_latest_late_outputs_are_kept(bench: Bench) -> None:
    """Number and size of late outputs are bounded."""
    await bench.enqueue(new(max_lease_losses=100))
    lost = [await _lose(bench) for _ in range(6)]
    await bench.claim_one("w2")
    for index, token in enumerate(lost):
        await bench.complete(token, b"x" * (70_000 if index == 5 else 10), digest=str(index))
    stored = await bench.item()
    kept = stored.fields["late_fences"].decode().split()
    assert kept == [token.fence for token in lost[2:]]
    assert stored.fields[f"late_output:{lost[5].fence}"].endswith(b" 70000 w1 SUPERSEDED\n")
    assert {name for name in stored.fields if name.startswith("late_output:")} == {f"late_output:{f}" for f in kept}


async def test_the_last_sixteen_claims_are_remembered(bench: Bench) -> None:
    """An older token still learns that it is over, but its secret cannot be checked any more."""
    await bench.enqueue(new(max_lease_losses=100))
    lost = [await _lose(bench) for _ in range(18)]
    await bench.claim_one("w2")
    assert (await bench.complete(lost[0])).reason is Reason.SUPERSEDED
    assert "late_fences" not in (await bench.item()).fields
    assert (await bench.complete(lost[-1])).late_output_kept


async def _park(bench: Bench) -> LeaseToken:
    """Make item a a dead letter; return its token."""
    token = await bench.claim_one()
    await bench.fail(token, fatal=True)
    return token


async def test_replay_supersedes_every_earlier_token_and_resets_the_budgets(bench: Bench) -> None:
    """A replayed item starts over, at the end of its priority, with its history kept."""
    await bench.enqueue(new(max_retries=1), new("b"))
    old = await _park(bench)
    (acted,) = await bench.store.replay(bench.namespace, "topic", [("a", 0)], b"patched")
    assert acted == ("REPLAYED", "READY", "-")
    leases = await bench.claim(2)
    assert [(lease.item_id, lease.attempt, lease.payload) for lease in leases] == [
        ("b", 1, b"payload"),
        ("a", 1, b"patched"),
    ]
    assert (await bench.complete(old)).reason is Reason.CONFLICTING_REPORT
    stored = await bench.item()
    assert stored.fields["replay_count"] == b"1"
    assert b"Boom" in stored.fields["history"]


async def test_an_undecided_token_is_superseded_by_a_replay(bench: Bench) -> None:
    """The worker of a dead letter of lost leases cannot finish it once it was replayed."""
    await bench.enqueue(new(max_lease_losses=0))
    lost = await _lose(bench)
    await bench.store.replay(bench.namespace, "topic", [("a", 0)])
    assert (await bench.complete(lost)).reason is Reason.SUPERSEDED
    assert (await bench.item()).state.status is Status.READY


async def test_a_delayed_replay_waits(bench: Bench) -> None:
    """Paced replays stand in `retry` until they are due."""
    await bench.enqueue(new())
    await _park(bench)
    await bench.store.replay(bench.namespace, "topic", [("a", 250)])
    assert await bench.indexes() == {"retry"}
    bench.clock.pass_ms(250)
    assert len(await bench.claim()) == 1


async def test_replay_of_a_node_that_no_longer_waits_is_refused(bench: Bench) -> None:
    """After the outcome there is nothing to replay for; the refusal says which outcome."""
    await bench.enqueue(new(suspend_timeout_ms=1000))
    await _park(bench)
    bench.clock.pass_ms(1000)
    acted = await bench.store.replay(bench.namespace, "topic", [("a", 0), ("nobody", 0)])
    assert acted == [("WRONG_STATUS", "DEAD_LETTER", "TIMED_OUT"), ("NOT_FOUND", "-", "-")]


async def test_discard_resumes_a_waiting_node_with_failure(bench: Bench) -> None:
    """Dropping a dead letter is the node's failure; a settled one is just dropped."""
    await bench.enqueue(new(), new("b", on_dead_letter="RESUME_WITH_FAILURE"))
    await _park(bench)
    await bench.fail(await bench.claim_one(), fatal=True)
    await bench.store.acknowledge(bench.namespace, "topic", ["b"])
    acted = await bench.store.discard(bench.namespace, "topic", ["a", "b"])
    assert acted == [("DISCARDED", "CANCELLED", "FAILED")] * 2
    assert await bench.indexes("a") == {"outbox:group"}
    assert await bench.indexes("b") == {"finished"}


async def test_adopting_a_late_output_makes_it_the_outcome(bench: Bench) -> None:
    """An operator may take what a superseded worker reported instead of running the item again."""
    await bench.enqueue(new())
    lost = await _lose(bench)
    await bench.fail(await bench.claim_one("w2"), fatal=True)
    await bench.complete(lost, b"late")
    assert (await bench.store.adopt(bench.namespace, "topic", "a", 12345)).answer == "NO_OUTPUT"
    assert (await bench.store.adopt(bench.namespace, "topic", "a", int(lost.fence))).answer == "ADOPTED"
    stored = await bench.item()
    assert (stored.state.outcome, stored.fields["output"]) == (Outcome.COMPLETED, b"late")
    assert (await bench.store.adopt(bench.namespace, "topic", "a", int(lost.fence))).answer == "WRONG_STATUS"


async def test_an_adopted_output_stands_against_the_last_worker(bench: Bench) -> None:
    """Once a late output was adopted, the worker whose lease was lost last cannot finish the item again."""
    await bench.enqueue(new(max_lease_losses=1))
    first = await _lose(bench)
    last = await bench.claim_one("w2")
    await bench.complete(first, b"late")
    bench.clock.pass_ms(LEASE_MS)
    await bench.sweep()
    await bench.store.adopt(bench.namespace, "topic", "a", int(first.fence))
    assert (await bench.complete(last, b"other")).reason is Reason.ALREADY_DONE_BY_OTHER
    assert (await bench.item()).fields["output"] == b"late"
    assert await bench.outbox() == ["a"]


async def test_history_is_bounded(bench: Bench) -> None:
    """The last 32 attempts are kept."""
    await bench.enqueue(new(max_retries=1000))
    for _ in range(40):
        await bench.fail(await bench.claim_one())
    assert (await bench.item()).fields["history"].count(b"\n") == 32


async def test_an_output_after_the_attempt_timeout_is_kept(bench: Bench) -> None:
    """It comes too late, and says so in the same words whatever happened since; a person may still adopt it."""
    await bench.enqueue(new(attempt_timeout_ms=1000, max_retries=1))
    late = await bench.claim_one()
    bench.clock.pass_ms(1000)
    first = await bench.complete(late, b"late")
    assert (first.reason, first.late_output_kept) == (Reason.LEASE_EXPIRED, True)
    assert (await bench.fail(late)).reason is Reason.CONFLICTING_REPORT
    await bench.claim_one("w2")
    assert await bench.complete(late, b"late") == first
    bench.clock.pass_ms(1000)
    await bench.sweep()
    assert (await bench.item()).state.status is Status.DEAD_LETTER
    adopted = await bench.store.adopt(bench.namespace, "topic", "a", int(late.fence))
    assert adopted.answer == "ADOPTED"
    assert (await bench.item()).fields["output"] == b"late"


async def test_a_failure_after_the_attempt_timeout_gets_one_answer(bench: Bench) -> None:
    """The timeout has spent the retry already; the report changes nothing, before and after the next claim."""
    await bench.enqueue(new(attempt_timeout_ms=1000, max_retries=3))
    late = await bench.claim_one()
    bench.clock.pass_ms(1000)
    first = await bench.fail(late)
    assert first.reason is Reason.LEASE_EXPIRED
    await bench.claim_one("w2")
    assert await bench.fail(late) == first
    assert (await bench.item()).state.retry_count == 1


async def test_a_late_heartbeat_does_not_outlast_the_attempt(bench: Bench) -> None:
    """Once the attempt would be over, a lost lease cannot be taken back; a lease that has ended is no lease."""
    await bench.enqueue(new(attempt_timeout_ms=LEASE_MS + 500))
    lost = await _lose(bench)
    assert (await bench.heartbeat(lost)).reason is Reason.LEASE_EXPIRED
    assert await bench.indexes() == {"retry"}


async def test_a_lease_lost_before_the_attempts_end_is_a_loss_whenever_it_is_noticed(bench: Bench) -> None:
    """After an outage longer than the attempt timeout the worker's output still counts, and no retry was spent."""
    await bench.enqueue(new(attempt_timeout_ms=2 * LEASE_MS, max_retries=1))
    token = await bench.claim_one()
    bench.clock.pass_ms(3 * LEASE_MS)
    await bench.sweep()
    state = (await bench.item()).state
    assert (state.status, state.retry_count, state.lease_loss_count) == (Status.RETRY_WAIT, 0, 1)
    assert (await bench.complete(token)).accepted


async def test_a_release_after_the_attempt_timeout_does_not_open_the_token_again(bench: Bench) -> None:
    """A release that was refused handed nothing back, so no output can follow it."""
    await bench.enqueue(new(attempt_timeout_ms=1000, max_retries=1))
    late = await bench.claim_one()
    bench.clock.pass_ms(1000)
    assert (await bench.release(late)).reason is Reason.LEASE_EXPIRED
    assert (await bench.complete(late)).reason is Reason.CONFLICTING_REPORT
    assert (await bench.item()).state.outcome is None


async def test_a_release_is_remembered_after_the_item_was_handed_on(bench: Bench) -> None:
    """Work finished after a release counts for the last claim only; an earlier one has decided, and stays decided."""
    await bench.enqueue(new())
    earlier = await bench.claim_one()
    released = await bench.release(earlier)
    last = await bench.claim_one("w2")
    await bench.release(last)
    assert (await bench.complete(earlier)).reason is Reason.CONFLICTING_REPORT
    assert await bench.release(earlier) == released
    assert (await bench.complete(last)).accepted


async def test_work_finished_after_a_late_release_saves_a_dead_letter_of_lost_leases(bench: Bench) -> None:
    """Nobody took over, so it counts here too."""
    await bench.enqueue(new(max_lease_losses=0))
    lost = await _lose(bench)
    assert (await bench.release(lost)).accepted
    assert (await bench.complete(lost)).accepted
    assert await bench.indexes() == {"outbox:group"}


async def test_nobody_holds_a_replayed_item(bench: Bench) -> None:
    """Its fence is no secret: a token made of it and an empty nonce is forged."""
    await bench.enqueue(new())
    await _park(bench)
    await bench.store.replay(bench.namespace, "topic", [("a", 0)])
    forged = LeaseToken(bench.namespace, "topic", f"a/{(await bench.item()).state.fence}/-")
    assert (await bench.heartbeat(forged)).reason is Reason.INVALID_TOKEN
    assert (await bench.complete(forged)).reason is Reason.INVALID_TOKEN
    assert (await bench.item()).state.status is Status.READY


async def test_a_token_too_old_to_remember_learns_nothing_of_the_item(bench: Bench) -> None:
    """Its secret cannot be checked; one that was never issued since is forged, however old it looks."""
    await bench.enqueue(new(max_lease_losses=100))
    lost = [await _lose(bench) for _ in range(18)]
    await bench.claim_one("w2")
    assert await bench.complete(lost[0]) == Verdict(Reason.SUPERSEDED)
    between = LeaseToken(bench.namespace, "topic", f"a/{int(lost[5].fence) + 1}/guess")
    assert (await bench.complete(between)).reason is Reason.INVALID_TOKEN


async def test_an_output_too_large_to_keep_is_not_called_kept(bench: Bench) -> None:
    """People see that there was one; the worker is not told that it is there."""
    await bench.enqueue(new())
    lost = await _lose(bench)
    await bench.claim_one("w2")
    assert not (await bench.complete(lost, b"x" * 65_537)).late_output_kept
    stored = await bench.item()
    assert stored.fields[f"late_output:{lost.fence}"].endswith(b" 65537 w1 SUPERSEDED\n")


async def test_a_replay_supersedes_without_a_successor(bench: Bench) -> None:
    """Nobody has the item yet, so nobody is named; nor is the worker itself where another output was adopted."""
    await bench.enqueue(new(max_lease_losses=1))
    first = await _lose(bench)
    last = await bench.claim_one("w2")
    bench.clock.pass_ms(LEASE_MS)
    await bench.sweep()
    assert (await bench.complete(first, b"late")).late_output_kept
    await bench.store.adopt(bench.namespace, "topic", "a", int(first.fence))
    verdict = await bench.complete(last)
    assert (verdict.reason, verdict.superseded_by) == (Reason.ALREADY_DONE_BY_OTHER, "")
    await bench.enqueue(new("b", max_lease_losses=0))
    lost = await _lose(bench)
    await bench.store.replay(bench.namespace, "topic", [("b", 0)])
    verdict = await bench.fail(lost)
    assert (verdict.reason, verdict.superseded_by, verdict.superseded_ago_ms) == (Reason.SUPERSEDED, "", None)
