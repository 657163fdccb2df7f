"""Records and outcomes in the wire's words."""

import json

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.domain.work_item import Acted
from bloge_server.rpc import items

from . import stored

REF = pb.WorkItemRef(worker_topic="topic", item_id="a")


def entry(end: str, *, fence: int = 5, attempt: int = 1, failure: dict[str, object] | None = None) -> bytes:
    """Return a line of the history."""
    line: dict[str, object] = {
        "attempt": attempt,
        "worker": "w1",
        "fence": fence,
        "claimed": stored.CLAIMED_MS,
        "ended": stored.ENDED_MS,
        "end": end,
    }
    if failure is not None:
        line["failure"] = failure
    return json.dumps(line).encode() + b"\n"


def attempts(state: bytes, history: bytes = b"", **fields: bytes) -> list[tuple[int, int, str]]:
    """Return number, fence and end of each attempt of a record."""
    message = items.item(stored.item(state, fields={"history": history, **fields}))
    return [
        (each.attempt, each.fence, pb.AttemptEnd.Name(each.end).removeprefix("ATTEMPT_END_"))
        for each in message.attempts
    ]


def test_an_instant_in_milliseconds() -> None:
    """None stays none."""
    assert items.timestamp(None) is None
    instant = items.timestamp(1_500)
    assert instant is not None
    assert (instant.seconds, instant.nanos) == (1, 500_000_000)


def test_an_item_that_was_never_claimed_has_no_attempts() -> None:
    """Its fence is 0."""
    message = items.item(stored.item(stored.state()))
    assert (message.fence, list(message.attempts), message.status) == (0, [], pb.WORK_ITEM_STATUS_READY)
    assert message.enqueue_time.ToMilliseconds() == stored.ENQUEUED_MS


def test_the_running_attempt_comes_last_and_has_no_end() -> None:
    """Earlier ones come before it, oldest first."""
    history = entry("FAILED", fence=4, failure={"type": "Boom"})
    assert attempts(stored.state("CLAIMED", fence="5", retries=1), history) == [
        (1, 4, "FAILED"),
        (2, 5, "UNSPECIFIED"),
    ]


@pytest.mark.parametrize(
    ("outcome", "status", "end"),
    [
        ("COMPLETED", "DONE", "COMPLETED"),
        ("TIMED_OUT", "CANCELLED", "DEADLINE_PASSED"),
        ("CANCELLED", "CANCELLED", "CANCELLED"),
    ],
)
def test_an_outcome_ends_the_attempt_that_ran(outcome: str, status: str, end: str) -> None:
    """With the time of the outcome."""
    state = stored.state(status, fence="5", outcome=outcome, outcome_at=str(stored.ENDED_MS))
    assert attempts(state) == [(1, 5, end)]


def test_a_business_error_ends_its_attempt() -> None:
    """It is not a failed attempt."""
    state = stored.state("DONE", fence="5", outcome="FAILED", outcome_at="1")
    assert attempts(state, business_error=b"\x0a\x01X") == [(1, 5, "BUSINESS_ERROR")]


def test_an_attempt_that_ended_is_not_told_twice() -> None:
    """An item that waits, or was cancelled while it waited, has only ended attempts."""
    history = entry("LEASE_LOST")
    assert attempts(stored.state("RETRY_WAIT", fence="5"), history) == [(1, 5, "LEASE_LOST")]
    cancelled = stored.state("CANCELLED", fence="5", outcome="CANCELLED", outcome_at="1")
    assert attempts(cancelled, history) == [(1, 5, "LEASE_LOST")]


def test_work_that_came_after_its_lease_was_lost_is_an_end_of_its_own() -> None:
    """The loss happened, and so did the completion."""
    state = stored.state("DONE", fence="5", outcome="COMPLETED", outcome_at="1")
    assert attempts(state, entry("LEASE_LOST")) == [(1, 5, "LEASE_LOST"), (1, 5, "COMPLETED")]


def test_a_replayed_item_keeps_its_history() -> None:
    """Nothing runs until it is claimed again."""
    history = entry("FAILED", failure={"type": "Boom", "message": "m"})
    message = items.item(stored.item(stored.state("READY", fence="6", claimed=None), fields={"history": history}))
    assert [(each.failure.type, each.failure.message) for each in message.attempts] == [("Boom", "m")]


def test_late_outputs_tell_who_when_and_why() -> None:
    """Oldest first; one that was too large has only its size."""
    fields = {
        "late_fences": b"4 5",
        "late_output:4": f"{stored.ENDED_MS} 7 w9 SUPERSEDED\n".encode() + b"line\nup",
        "late_output:5": f"{stored.ENDED_MS} 70000 w9 CANCELLED\n".encode(),
    }
    message = items.item(stored.item(stored.state("READY", fence="5"), fields=fields))
    first, second = message.late_outputs
    assert (first.fence, first.worker_id, first.output, first.reason) == (4, "w9", b"line\nup", "SUPERSEDED")
    assert first.arrival_time.ToMilliseconds() == stored.ENDED_MS
    assert (second.output, second.size_bytes) == (b"", 70_000)


def test_lists_carry_no_payloads_and_no_outputs() -> None:
    """A page of many items stays small: neither the input, nor the output, nor late outputs."""
    state = stored.state("DONE", fence="5", outcome="COMPLETED", outcome_at="1")
    fields = {"output": b"out", "late_fences": b"4", "late_output:4": b"1 4 w9 SUPERSEDED\nlate"}
    whole, listed = (items.item(stored.item(state, fields=fields), payload=full) for full in (True, False))
    assert (whole.spec.payload, whole.outcome.output) == (b"in", b"out")
    assert (listed.spec.payload, listed.outcome.output) == (b"", b"")
    assert [each.output for each in listed.late_outputs] == [b""]
    assert listed.outcome.kind == pb.OUTCOME_KIND_COMPLETED


def test_an_outcome_names_its_item_and_where_it_belongs() -> None:
    """What an orchestrator needs to resume the node."""
    message = items.outcome(stored.outcome(fields={"output": b"out"}))
    assert message.item == pb.WorkItemRef(namespace="ns", worker_topic="topic", item_id="a")
    assert (message.reply_group, message.execution_id, message.node_id) == ("group", "e1", "n1")
    assert (message.kind, message.output, message.worker_id) == (pb.OUTCOME_KIND_COMPLETED, b"out", "w1")
    assert message.outcome_time.ToMilliseconds() == stored.ENDED_MS


def test_no_worker_is_named_where_no_report_led_to_the_outcome() -> None:
    """A timeout is nobody's work."""
    message = items.outcome(stored.outcome(kind="TIMED_OUT", status="CANCELLED"))
    assert (message.worker_id, message.HasField("failure")) == ("", False)


def test_a_failed_outcome_carries_its_business_error() -> None:
    """And no technical failure."""
    error = pb.BusinessError(code="NO_STOCK", details=b"{}")
    message = items.outcome(stored.outcome(kind="FAILED", fields={"business_error": error.SerializeToString()}))
    assert message.business_error == error
    assert not message.HasField("failure")


def test_a_dead_letter_that_resumes_carries_its_last_failure() -> None:
    """With the reason of the dead letter."""
    history = entry("FAILED", failure={"type": "First"}) + entry("FAILED", failure={"type": "Last"})
    fields = {"history": history + entry("LEASE_LOST"), "dead_reason": b"BUDGET_SPENT"}
    policy = stored.policy(on_dead_letter="RESUME_WITH_FAILURE")
    message = items.outcome(stored.outcome(kind="FAILED", status="DEAD_LETTER", packed_policy=policy, fields=fields))
    assert (message.failure.type, message.dead_letter_reason) == ("Last", pb.DEAD_LETTER_REASON_BUDGET_SPENT)


def test_a_dead_letter_without_failures_names_its_reason() -> None:
    """Lost leases leave no failure of a worker."""
    fields = {"history": entry("LEASE_LOST"), "dead_reason": b"LEASE_LOST"}
    message = items.outcome(stored.outcome(kind="FAILED", status="DEAD_LETTER", fields=fields))
    assert message.failure.type == "LEASE_LOST"


def test_a_discarded_dead_letter_says_so() -> None:
    """The node that still waited learns that a person gave up."""
    history = entry("FAILED", failure={"type": "Boom"})
    message = items.outcome(stored.outcome(kind="FAILED", status="CANCELLED", fields={"history": history}))
    assert message.failure.type == "DISCARDED"


def test_a_discard_never_rewrites_an_outcome() -> None:
    """A dead letter that had resumed its node keeps the failure it told, however often it is read (promise L3)."""
    history = entry("FAILED", failure={"type": "Boom"})
    policy = stored.policy(on_dead_letter="RESUME_WITH_FAILURE")
    found = stored.outcome(kind="FAILED", status="CANCELLED", packed_policy=policy, fields={"history": history})
    assert items.outcome(found).failure.type == "Boom"


def test_the_last_error_type_skips_attempts_without_failure() -> None:
    """It is what dead letters are searched by."""
    history = entry("FAILED", failure={"type": "Boom"}) + entry("LEASE_LOST")
    assert items.last_error_type(stored.item(stored.state(), fields={"history": history})) == "Boom"
    assert items.last_error_type(stored.item(stored.state())) == ""


def test_the_last_failure_tells_whether_a_retry_was_worth_it() -> None:
    """What the worker said is kept, and not only its texts."""
    history = entry("FAILED", failure={"type": "Boom", "message": "", "traceback": "", "non_retryable": True})
    (attempt,) = items.item(stored.item(stored.state("DEAD_LETTER", fence="5"), fields={"history": history})).attempts
    assert attempt.failure.non_retryable


@pytest.mark.parametrize(
    ("acted", "reason", "metadata"),
    [
        (Acted("NOT_FOUND", "-", "-"), Reason.NOT_FOUND, {}),
        (Acted("NO_OUTPUT", "DEAD_LETTER", "-"), Reason.NOT_FOUND, {}),
        (Acted("WRONG_STATUS", "READY", "-"), Reason.WRONG_STATUS, {"status": "READY", "outcome": ""}),
        (
            Acted("HAS_OUTCOME", "CANCELLED", "TIMED_OUT"),
            Reason.WRONG_STATUS,
            {"status": "CANCELLED", "outcome": "TIMED_OUT"},
        ),
    ],
)
def test_a_refused_act_says_where_the_item_stands(acted: Acted, reason: Reason, metadata: dict[str, str]) -> None:
    """The facts that its reason promises."""
    refusal = items.refusal(REF, acted)
    assert (refusal.reason, dict(refusal.metadata)) == (reason, metadata)
