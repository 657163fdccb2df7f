"""Dead letters: found, replayed, discarded, adopted."""

from typing import Any

import grpc
import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.status import from_status
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from support.wire import PATIENCE, TOPIC, Wire, refused, seconds

BURIED = work_item_pb2.DEAD_LETTER_REASON_BUDGET_SPENT
RESUME = work_item_pb2.ON_DEAD_LETTER_RESUME_WITH_FAILURE


def bury(wire: Wire, *item_ids: str, kind: str = "Boom", topic: str = TOPIC, **spec: Any) -> None:
    """Make dead letters, one after the other, so that each has its own instant at most."""
    for item_id in item_ids:
        wire.put(item_id, worker_topic=topic, **spec)
        (verdict,) = wire.fail(wire.claim_one(worker_topic=topic), kind=kind)
        assert verdict.status == work_item_pb2.WORK_ITEM_STATUS_DEAD_LETTER


def listed(wire: Wire, *, page_size: int = 0, topic: str = TOPIC, **criteria: Any) -> list[list[str]]:
    """Return the pages of a listing, as ids."""
    request = pb.ListDeadLettersRequest(namespace=wire.namespace, worker_topic=topic, page_size=page_size)
    request.filter.CopyFrom(pb.DeadLetterFilter(**criteria))
    pages: list[list[str]] = []
    while True:
        response = wire.ops.ListDeadLetters(request, timeout=PATIENCE)
        pages.append([item.item.item_id for item in response.items])
        assert len(pages) < 50, "the listing never ends"
        if not response.next_page_token:
            return pages
        request.page_token = response.next_page_token


def replay(wire: Wire, **request: Any) -> pb.ReplayDeadLettersResponse:
    """Replay dead letters; fields of the filter by their names."""
    criteria = {name: request.pop(name) for name in pb.DeadLetterFilter.DESCRIPTOR.fields_by_name if name in request}
    call = pb.ReplayDeadLettersRequest(
        namespace=wire.namespace, worker_topic=TOPIC, filter=pb.DeadLetterFilter(**criteria), **request
    )
    return wire.ops.ReplayDeadLetters(call, timeout=PATIENCE)


def discard(wire: Wire, *item_ids: str, **request: Any) -> pb.DiscardDeadLettersResponse:
    """Discard dead letters by id."""
    call = pb.DiscardDeadLettersRequest(
        namespace=wire.namespace, worker_topic=TOPIC, filter=pb.DeadLetterFilter(item_ids=item_ids), **request
    )
    return wire.ops.DiscardDeadLetters(call, timeout=PATIENCE)


def adopt(wire: Wire, item_id: str, fence: int) -> work_item_pb2.Outcome:
    """Adopt a late output."""
    request = pb.AdoptLateOutputRequest(item=wire.ref(item_id), fence=fence)
    return wire.ops.AdoptLateOutput(request, timeout=PATIENCE).outcome


def refusals(response: pb.ReplayDeadLettersResponse | pb.DiscardDeadLettersResponse) -> dict[str, Reason]:
    """Return why each item was refused."""
    return {each.item.item_id: from_status(each.error).reason for each in response.refusals}


def test_dead_letters_are_listed_oldest_first(wire: Wire) -> None:
    """With their history, without their payload."""
    bury(wire, "c", "a", "b", payload=b"in")
    assert listed(wire) == [["c", "a", "b"]]
    request = pb.ListDeadLettersRequest(namespace=wire.namespace)
    first = wire.ops.ListDeadLetters(request, timeout=PATIENCE).items[0]
    assert (first.spec.item_id, first.spec.payload) == ("c", b"")
    assert (first.dead_letter_reason, first.attempts[0].failure.type) == (BURIED, "Boom")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_pages_follow_one_another(wire: Wire, size: int) -> None:
    """Over all topics of the namespace, whatever the page size, each dead letter once."""
    bury(wire, "a1", "a2", topic="alpha")
    bury(wire, "b1", "b2", "b3", topic="beta")
    pages = listed(wire, page_size=size, topic="")
    assert [item_id for page in pages for item_id in page] == ["a1", "a2", "b1", "b2", "b3"]
    assert all(len(page) <= size for page in pages)


def test_named_dead_letters_can_be_paged_too(wire: Wire) -> None:
    """Only those that are there, each once."""
    bury(wire, "a", "b", "c", "d")
    pages = listed(wire, page_size=2, item_ids=["d", "b", "a", "nobody"])
    assert [item_id for page in pages for item_id in page] == ["a", "b", "d"]


def test_dead_letters_of_one_instant_are_all_listed(wire: Wire) -> None:
    """A batch of failures shares its time; no page skips or repeats one of them."""
    ids = sorted(f"i{index}" for index in range(30))
    wire.put(*ids)
    wire.fail(*wire.claim(30))
    pages = listed(wire, page_size=7)
    assert sorted(item_id for page in pages for item_id in page) == ids


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, ["op", "exe", "err", "rejected"]),
        ({"operator_ref": "Op"}, ["op"]),
        ({"execution_id": "e1"}, ["exe"]),
        ({"error_type": "Other"}, ["err"]),
        ({"reason": work_item_pb2.DEAD_LETTER_REASON_NON_RETRYABLE}, ["rejected"]),
        ({"item_ids": ["err", "op"]}, ["op", "err"]),
        ({"item_ids": ["op"], "error_type": "Other"}, []),
        ({"reason": 99}, []),
    ],
)
def test_a_filter_selects(wire: Wire, criteria: dict[str, Any], expected: list[str]) -> None:
    """All criteria that are set must match."""
    bury(wire, "op", operator_ref="Op")
    bury(wire, "exe", execution_id="e1")
    bury(wire, "err", kind="Other")
    wire.put("rejected")
    wire.fail(wire.claim_one(), non_retryable=True)
    assert [item_id for page in listed(wire, **criteria) for item_id in page] == expected


def test_a_filter_selects_by_time(wire: Wire) -> None:
    """From an instant on, until before another."""
    bury(wire, "a")
    at = wire.get("a").dead_letter_time
    later = type(at)()
    later.FromMilliseconds(at.ToMilliseconds() + 1)
    assert listed(wire, dead_letter_time_from=at, dead_letter_time_until=later) == [["a"]]
    assert listed(wire, dead_letter_time_from=later) == [[]]
    assert listed(wire, dead_letter_time_until=at) == [[]]


def test_a_page_of_long_histories_fits_a_reply(wire: Wire) -> None:
    """Tracebacks count: a page ends before it is too large, and the next one goes on (promise L9)."""
    ids = [f"i{index:02}" for index in range(60)]
    wire.put(*ids, retry_policy=work_item_pb2.RetryPolicy(attempts=3))
    for _ in range(4):
        wire.fail(*wire.claim(60), message="m" * 4096, traceback="t" * 16_384)
    pages = listed(wire, page_size=60)
    assert sorted(item_id for page in pages for item_id in page) == ids
    assert len(pages) > 1


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"page_size": 1001}, "page_size"),
        ({"page_size": -1}, "page_size"),
        ({"worker_topic": "a b"}, "worker_topic"),
        ({"page_token": "nonsense"}, "page_token"),
        ({"page_token": "YQ=="}, "page_token"),
        ({"filter": pb.DeadLetterFilter(item_ids=["x"] * 501)}, "filter.item_ids"),
    ],
)
def test_a_wrong_listing_is_refused(wire: Wire, request_fields: dict[str, Any], field: str) -> None:
    """With the field."""
    with refused() as told:
        wire.ops.ListDeadLetters(pb.ListDeadLettersRequest(**request_fields), timeout=PATIENCE)
    assert [each.field for each in told[0].fields] == [field]


def test_a_replay_begins_anew(wire: Wire) -> None:
    """New budgets, the attempt is the first again, and every earlier token is superseded."""
    wire.put("a", payload=b"in")
    lease = wire.claim_one()
    wire.fail(lease)
    assert replay(wire, item_ids=["a"]).replayed_count == 1
    item = wire.get()
    assert (item.status, item.replay_count, item.claim_count) == (work_item_pb2.WORK_ITEM_STATUS_READY, 1, 0)
    assert item.dead_letter_reason == work_item_pb2.DEAD_LETTER_REASON_UNSPECIFIED
    assert len(item.attempts) == 1
    again = wire.claim_one()
    assert (again.attempt, again.spec.payload) == (1, b"in")
    assert again.fence > lease.fence
    assert listed(wire) == [[]]


def test_a_dry_run_changes_nothing(wire: Wire) -> None:
    """It only counts."""
    bury(wire, "a", "b")
    assert replay(wire, error_type="Boom", dry_run=True).replayed_count == 2
    assert discard(wire, "a", dry_run=True).discarded_count == 1
    assert listed(wire) == [["a", "b"]]


def test_a_replay_may_bring_another_payload(wire: Wire) -> None:
    """Of exactly one item."""
    bury(wire, "a", payload=b"bad")
    replay(wire, item_ids=["a"], payload=b"good")
    assert wire.claim_one().spec.payload == b"good"
    assert wire.get().spec.payload == b"good"
    for criteria in ({"item_ids": ["a", "b"]}, {"error_type": "Boom"}):
        with refused() as told:
            replay(wire, **criteria, payload=b"good")
        assert [each.field for each in told[0].fields] == ["payload"]


def test_another_payload_has_the_same_limit(wire: Wire) -> None:
    """The refusal tells both sizes."""
    bury(wire, "a")
    with refused() as told:
        replay(wire, item_ids=["a"], payload=b"x" * 1_048_577)
    assert told[0].reason is Reason.TOO_LARGE


def test_a_patch_changes_the_payload_of_each(wire: Wire) -> None:
    """Whatever else it holds stays; what the patch does not fit is refused, and a dry run says so before."""
    bury(wire, "a", payload=b'{"size":1,"color":"red"}')
    bury(wire, "b", payload=b'{"size":2}')
    bury(wire, "c", payload=b"no json")
    request: dict[str, Any] = {"error_type": "Boom", "payload_patch": b'{"size":7,"color":null}'}
    dry = replay(wire, **request, dry_run=True)
    assert (dry.replayed_count, refusals(dry)) == (2, {"c": Reason.INVALID_FIELD})
    assert listed(wire) == [["a", "b", "c"]]
    done = replay(wire, **request)
    assert (done.replayed_count, refusals(done)) == (2, {"c": Reason.INVALID_FIELD})
    assert [wire.get(item_id).spec.payload for item_id in "abc"] == [b'{"size":7}', b'{"size":7}', b"no json"]
    assert listed(wire) == [["c"]]


def test_a_patch_must_leave_payloads_small_enough(wire: Wire) -> None:
    """The item is refused, and stays as it was."""
    bury(wire, "a", payload=b'{"kept":"%s"}' % (b"x" * 600_000))
    done = replay(wire, item_ids=["a"], payload_patch=b'{"more":"%s"}' % (b"y" * 600_000))
    assert refusals(done) == {"a": Reason.TOO_LARGE}
    assert listed(wire) == [["a"]]


@pytest.mark.parametrize("wrong", [{"payload_patch": b"{"}, {"payload_patch": b"{}", "payload": b"{}"}])
def test_a_patch_is_json_and_comes_alone(wire: Wire, wrong: dict[str, bytes]) -> None:
    """The refusal names the field, and nothing is replayed."""
    bury(wire, "a")
    with refused() as told:
        replay(wire, item_ids=["a"], **wrong)
    assert [each.field for each in told[0].fields] == ["payload_patch"]
    assert listed(wire) == [["a"]]


def test_a_replay_can_be_spread(wire: Wire) -> None:
    """The first item is due at once, the others at the rate."""
    bury(wire, "a", "b", "c")
    assert replay(wire, error_type="Boom", rate_per_second=1).replayed_count == 3
    assert [wire.status(item_id) for item_id in "abc"] == ["READY", "RETRY_WAIT", "RETRY_WAIT"]
    waits = [wire.get(item_id).due_time.ToMilliseconds() for item_id in "bc"]
    assert waits[1] - waits[0] == 1000


def test_a_replay_stops_at_its_limit(wire: Wire) -> None:
    """Oldest first."""
    bury(wire, "a", "b", "c")
    assert replay(wire, error_type="Boom", max_items=2).replayed_count == 2
    assert listed(wire) == [["c"]]


def test_acting_on_everything_needs_a_criterion(wire: Wire) -> None:
    """An empty filter is refused; so is a list that is too long or holds no names."""
    for criteria, field in (({}, "filter"), ({"item_ids": ["a b"]}, "filter.item_ids[0]")):
        with refused() as told:
            replay(wire, **criteria)
        assert [each.field for each in told[0].fields] == [field]


def test_an_item_whose_node_has_gone_on_is_not_replayed(wire: Wire) -> None:
    """It has an outcome; the refusal says which."""
    bury(wire, "gone", on_dead_letter=RESUME)
    bury(wire, "waits")
    response = replay(wire, error_type="Boom")
    assert (response.replayed_count, response.refused_count) == (1, 1)
    assert refusals(response) == {"gone": Reason.WRONG_STATUS}
    assert from_status(response.refusals[0].error).metadata == {"status": "DEAD_LETTER", "outcome": "FAILED"}


def test_a_suspend_deadline_closes_the_door_to_a_replay(wire: Wire) -> None:
    """The dead letter stays for people, its node has timed out."""
    bury(wire, "a", suspend_timeout=seconds(0.5))
    outcome = wire.await_outcome()
    assert outcome is not None
    assert (outcome.kind, outcome.dead_letter_reason) == (work_item_pb2.OUTCOME_KIND_TIMED_OUT, BURIED)
    assert refusals(replay(wire, item_ids=["a"])) == {"a": Reason.WRONG_STATUS}


@pytest.mark.parametrize("act", ["replay", "discard"])
def test_named_items_that_are_no_dead_letters_are_refused(wire: Wire, act: str) -> None:
    """A person who names an item learns what became of the request."""
    bury(wire, "dead")
    wire.put("ready")
    ids = ["dead", "ready", "nobody"]
    if act == "replay":
        replayed = replay(wire, item_ids=ids)
        done, told, count = replayed.replayed_count, refusals(replayed), replayed.refused_count
    else:
        discarded = discard(wire, *ids)
        done, told, count = discarded.discarded_count, refusals(discarded), discarded.refused_count
    assert (done, count) == (1, 2)
    assert told == {"ready": Reason.WRONG_STATUS, "nobody": Reason.NOT_FOUND}


def test_a_discard_resumes_the_node_that_still_waits(wire: Wire) -> None:
    """With a failure that says so; the item is gone from the dead letters."""
    bury(wire, "a", reply_group="group")
    assert discard(wire, "a").discarded_count == 1
    outcome = wire.await_outcome()
    assert outcome is not None
    assert (outcome.kind, outcome.failure.type) == (work_item_pb2.OUTCOME_KIND_FAILED, "DISCARDED")
    assert wire.status() == "CANCELLED"
    with wire.watch("group") as watch:
        assert watch.next().outcomes[0].failure.type == "DISCARDED"


def test_a_discard_leaves_an_outcome_as_it_was(wire: Wire) -> None:
    """A node that resumed with its failure is not told another one later (promise L3)."""
    bury(wire, "a", reply_group="group", on_dead_letter=RESUME)
    before = wire.await_outcome()
    discard(wire, "a")
    assert before is not None
    assert before.failure.type == "Boom"
    assert wire.await_outcome() == before
    with wire.watch("group") as watch:
        assert list(watch.next().outcomes) == [before]


def test_a_late_output_can_be_adopted(hasty: Wire) -> None:
    """Work that came after somebody else had failed is not lost."""
    hasty.put("a")
    with hasty.session("slow", credit=1) as session:
        late = session.expect("offers").leases[0]
        hasty.fail(hasty.claim_one(worker="w2", wait=20))
    (verdict,) = hasty.complete(late, output=b"late")
    assert (verdict.reason, verdict.superseded_by) == (Reason.SUPERSEDED.number, "w2")
    assert verdict.late_output_kept
    assert verdict.HasField("superseded_ago")
    (kept,) = hasty.get().late_outputs
    assert (kept.fence, kept.worker_id, kept.output, kept.reason) == (late.fence, "slow", b"late", "SUPERSEDED")
    outcome = adopt(hasty, "a", late.fence)
    assert (outcome.kind, outcome.output) == (work_item_pb2.OUTCOME_KIND_COMPLETED, b"late")
    assert hasty.status() == "DONE"
    with refused() as told:
        adopt(hasty, "a", late.fence)
    assert told[0].reason is Reason.WRONG_STATUS


def test_only_a_kept_output_of_a_dead_letter_can_be_adopted(wire: Wire) -> None:
    """The refusal says what is missing."""
    bury(wire, "dead")
    wire.put("ready")
    for item_id, fence, reason in (
        ("dead", 5, Reason.NOT_FOUND),
        ("ready", 5, Reason.WRONG_STATUS),
        ("nobody", 5, Reason.NOT_FOUND),
        ("dead", 0, Reason.INVALID_FIELD),
    ):
        with refused() as told:
            adopt(wire, item_id, fence)
        assert told[0].reason is reason


def test_an_item_can_be_read_by_people(wire: Wire) -> None:
    """With everything that is known of it."""
    bury(wire, "a", payload=b"in")
    item = wire.ops.GetWorkItem(pb.GetWorkItemRequest(item=wire.ref()), timeout=PATIENCE).item
    assert item == wire.get()
    with refused() as told:
        wire.ops.GetWorkItem(pb.GetWorkItemRequest(item=wire.ref("nobody")), timeout=PATIENCE)
    assert told[0].reason is Reason.NOT_FOUND


def test_the_wrong_status_of_a_call_is_a_failed_precondition(wire: Wire) -> None:
    """As its reason promises."""
    wire.put("a")
    with pytest.raises(grpc.RpcError) as error:
        adopt(wire, "a", 1)
    assert isinstance(error.value, grpc.Call)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
