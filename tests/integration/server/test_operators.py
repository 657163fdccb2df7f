"""What operators ask beside lists: counts of dead letters, a worker by its id, and what people did."""

from typing import Any

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from support.wire import PATIENCE, TOPIC, Wire, refused

RESUME = work_item_pb2.ON_DEAD_LETTER_RESUME_WITH_FAILURE


def bury(wire: Wire, *item_ids: str, kind: str = "Boom", topic: str = TOPIC, **spec: Any) -> None:
    """Make dead letters."""
    wire.put(*item_ids, worker_topic=topic, **spec)
    wire.fail(*wire.claim(len(item_ids), worker_topic=topic), kind=kind)


def groups(wire: Wire, topic: str = "", **criteria: Any) -> dict[tuple[str, str], tuple[int, int]]:
    """Return how many dead letters of each topic and error type there are, and how many of them are settled."""
    request = pb.GroupDeadLettersRequest(
        namespace=wire.namespace, worker_topic=topic, filter=pb.DeadLetterFilter(**criteria)
    )
    reply = wire.ops.GroupDeadLetters(request, timeout=PATIENCE)
    assert not reply.next_page_token
    return {(each.worker_topic, each.error_type): (each.count, each.settled_count) for each in reply.groups}


def actions(wire: Wire, size: int = 0) -> list[pb.RecordedAction]:
    """Return what people did, over all pages."""
    request = pb.ListActionsRequest(namespace=wire.namespace, page_size=size)
    found: list[pb.RecordedAction] = []
    while True:
        reply = wire.ops.ListActions(request, timeout=PATIENCE)
        found += reply.actions
        request.page_token = reply.next_page_token
        if not reply.next_page_token:
            return found


def test_dead_letters_are_counted(wire: Wire) -> None:
    """By topic, reason and error type, whatever types are written with."""
    bury(wire, "a", "b", kind='Bo"om \\ ü')
    bury(wire, "c", kind="Other", on_dead_letter=RESUME)
    bury(wire, "d", topic="elsewhere")
    everything = {(TOPIC, 'Bo"om \\ ü'): (2, 0), (TOPIC, "Other"): (1, 1), ("elsewhere", "Boom"): (1, 0)}
    assert groups(wire) == everything
    assert groups(wire, "elsewhere") == {("elsewhere", "Boom"): (1, 0)}


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"operator_ref": "Op"}, {(TOPIC, "Boom"): (1, 0)}),
        ({"execution_id": "e1"}, {(TOPIC, "Boom"): (2, 0)}),
        ({"error_type": "Other"}, {}),
    ],
)
def test_only_what_matches_is_counted(wire: Wire, criteria: dict[str, Any], expected: dict[Any, Any]) -> None:
    """The same filter as everywhere."""
    bury(wire, "a", operator_ref="Op", execution_id="e1")
    bury(wire, "b", execution_id="e1")
    bury(wire, "c", execution_id="e11")
    assert groups(wire, **criteria) == expected


def test_named_items_need_no_count(wire: Wire) -> None:
    """The refusal names the field."""
    with refused() as told:
        groups(wire, item_ids=["a"])
    assert [each.field for each in told[0].fields] == ["filter.item_ids"]


def test_a_worker_is_found_by_its_id(wire: Wire) -> None:
    """As the list has it."""
    wire.register("w1", "t1", "t2", slots=3)
    reply = wire.ops.GetWorker(pb.GetWorkerRequest(namespace=wire.namespace, worker_id="w1"), timeout=PATIENCE)
    assert (reply.worker.worker_id, list(reply.worker.worker_topics)) == ("w1", ["t1", "t2"])


def test_a_worker_that_nobody_saw_is_not_found(wire: Wire) -> None:
    """It may have been gone for an hour."""
    with refused() as told:
        wire.ops.GetWorker(pb.GetWorkerRequest(namespace=wire.namespace, worker_id="w9"), timeout=PATIENCE)
    assert told[0].reason is Reason.NOT_FOUND


def test_what_people_did_is_listed(wire: Wire) -> None:
    """Latest first, with who, why, and the request; payloads stay out."""
    bury(wire, "a")
    action = pb.Action(actor="ada", reason="model restored")
    wire.ops.PauseTopic(pb.PauseTopicRequest(namespace=wire.namespace, worker_topic=TOPIC, action=action))
    criteria = pb.DeadLetterFilter(item_ids=["a"])
    wire.ops.ReplayDeadLetters(
        pb.ReplayDeadLettersRequest(
            namespace=wire.namespace, worker_topic=TOPIC, filter=criteria, payload=b"secret", action=action
        )
    )
    replayed, paused = actions(wire)
    assert (replayed.verb, replayed.target, paused.verb) == ("ReplayDeadLetters", TOPIC, "PauseTopic")
    assert (replayed.action.actor, replayed.action.reason) == ("ada", "model restored")
    assert '"itemIds": ["a"]' in replayed.detail
    assert "secret" not in replayed.detail
    assert "c2VjcmV0" not in replayed.detail
    assert actions(wire, size=1) == [replayed, paused]


def test_a_repair_is_an_action_and_a_look_is_none(wire: Wire) -> None:
    """Only what may change something is recorded."""
    wire.put("a")
    for repair in (False, True):
        request = pb.AuditRequest(namespace=wire.namespace, repair=repair, action=pb.Action(reason="why"))
        assert list(wire.ops.Audit(request, timeout=PATIENCE))[-1].done
    (repaired,) = actions(wire)
    assert (repaired.verb, repaired.action.reason) == ("Audit", "why")


@pytest.mark.parametrize("token", ["nonsense", "YQ=="])
def test_a_wrong_page_of_actions_is_refused(wire: Wire, token: str) -> None:
    """With the field."""
    with refused() as told:
        wire.ops.ListActions(pb.ListActionsRequest(namespace=wire.namespace, page_token=token), timeout=PATIENCE)
    assert [each.field for each in told[0].fields] == ["page_token"]
