"""Outcomes on their way to an orchestrator."""

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import work_item_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as calls
from support.wire import Watch, Wire, refused


def outcomes(watch: Watch, count: int) -> list[work_item_pb2.Outcome]:
    """Return a number of outcomes."""
    found: list[work_item_pb2.Outcome] = []
    while len(found) < count:
        found.extend(watch.next().outcomes)
    assert len(found) == count
    return found


def names(watch: Watch, count: int) -> list[str]:
    """Return the items of a number of outcomes."""
    return sorted(outcome.item.item_id for outcome in outcomes(watch, count))


def finished(wire: Wire, *item_ids: str, group: str = "group", output: bytes = b"{}") -> None:
    """Enqueue items and complete them."""
    wire.put(*item_ids, reply_group=group)
    verdicts = wire.complete(*wire.claim(len(item_ids)), output=output)
    assert [verdict.reason for verdict in verdicts] == [0] * len(item_ids)


def caught_up(watch: Watch) -> list[str]:
    """Return the items of every outcome until the pair is caught up."""
    found: list[str] = []
    while not (frame := watch.next()).caught_up:
        found.extend(outcome.item.item_id for outcome in frame.outcomes)
    return found + [outcome.item.item_id for outcome in frame.outcomes]


def recorded(watch: Watch) -> None:
    """Close our side, and wait until the server has done everything that we said."""
    watch.close()
    watch.rest()


def test_what_is_there_comes_at_once_and_then_the_pair_is_caught_up(wire: Wire) -> None:
    """A watcher knows when it has seen all there was."""
    finished(wire, "a", "b")
    with wire.watch("group") as watch:
        frame = watch.next()
    assert sorted(outcome.item.item_id for outcome in frame.outcomes) == ["a", "b"]
    assert list(frame.caught_up) == [wire.source("group")]


def test_an_empty_pair_is_caught_up_once(wire: Wire) -> None:
    """And later outcomes come without saying so again."""
    with wire.watch("group") as watch:
        frame = watch.next()
        assert (list(frame.outcomes), list(frame.caught_up)) == ([], [wire.source("group")])
        finished(wire, "a")
        frame = watch.next()
        assert [outcome.item.item_id for outcome in frame.outcomes] == ["a"]
        assert list(frame.caught_up) == []


def test_an_outcome_carries_what_its_node_needs(wire: Wire) -> None:
    """Kind, output, and where it belongs."""
    with wire.watch("group") as watch:
        wire.put("a", reply_group="group", execution_id="e", node_id="n")
        wire.complete(wire.claim_one(worker="w7"), output=b"out")
        (outcome,) = outcomes(watch, 1)
    assert outcome.item == wire.ref("a")
    assert (outcome.kind, outcome.output) == (work_item_pb2.OUTCOME_KIND_COMPLETED, b"out")
    assert (outcome.reply_group, outcome.execution_id, outcome.node_id) == ("group", "e", "n")
    assert outcome.worker_id == "w7"


def test_a_long_outbox_comes_in_pages(wire: Wire) -> None:
    """All of it, each once, and caught up at the end and not before."""
    ids = [f"i{index}" for index in range(250)]
    finished(wire, *ids)
    with wire.watch("group") as watch:
        assert caught_up(watch) == sorted(ids, key=ids.index)


def test_large_outputs_come_in_frames_that_fit(wire: Wire) -> None:
    """No frame exceeds 3 MiB (promise L9)."""
    finished(wire, "a", "b", "c", "d", output=b"x" * 1_000_000)
    with wire.watch("group") as watch:
        assert sorted(caught_up(watch)) == ["a", "b", "c", "d"]


def test_large_business_errors_come_in_frames_that_fit(wire: Wire) -> None:
    """Their details count like outputs: else a watcher could never get past them."""
    ids = [f"i{index:02}" for index in range(90)]
    wire.put(*ids, reply_group="group")
    for lease in wire.claim(90):
        wire.business_error(lease, code="C", details=b"x" * 65_536)
    with wire.watch("group") as watch:
        assert sorted(caught_up(watch)) == ids


def test_an_outcome_comes_again_until_it_is_acknowledged(wire: Wire) -> None:
    """After each reconnect, and never again once it is recorded."""
    finished(wire, "a", "b", "c")
    with wire.watch("group") as watch:
        assert names(watch, 3) == ["a", "b", "c"]
    with wire.watch("group") as watch:
        assert names(watch, 3) == ["a", "b", "c"]
        watch.send(wire.acknowledgement("b"), wire.acknowledgement("b", "a"))
        recorded(watch)
    with wire.watch("group") as watch:
        assert caught_up(watch) == ["c"]
        watch.send(wire.acknowledgement("c", "nobody"))
        recorded(watch)
    with wire.watch("group") as watch:
        assert caught_up(watch) == []


def test_an_outcome_is_sent_once_on_a_stream(wire: Wire) -> None:
    """Unacknowledged or not, it does not come again with the next one."""
    with wire.watch("group") as watch:
        for item_id in ("a", "b", "c"):
            finished(wire, item_id)
            assert names(watch, 1) == [item_id]


def test_groups_are_apart(wire: Wire) -> None:
    """A watcher hears of its own groups only."""
    with wire.watch("group") as watch, wire.watch("other") as other:
        finished(wire, "x", group="other")
        finished(wire, "a")
        assert names(watch, 1) == ["a"]
        assert names(other, 1) == ["x"]


def test_several_watchers_of_a_group_all_hear(wire: Wire) -> None:
    """An orchestrator that took over hears what the one before it heard."""
    with wire.watch("group") as one, wire.watch("group") as two:
        finished(wire, "a")
        assert names(one, 1) == names(two, 1) == ["a"]


def test_a_removed_pair_is_silent_until_it_is_added_again(wire: Wire) -> None:
    """Then everything unacknowledged comes."""
    with wire.watch("group") as watch:
        caught_up(watch)
        group, marker = (calls.OutcomeSources(sources=[wire.source(name)]) for name in ("group", "marker"))
        watch.send(calls.WatchOutcomesRequest(remove=group), calls.WatchOutcomesRequest(add=marker))
        assert list(watch.next().caught_up) == list(marker.sources)
        finished(wire, "a")
        finished(wire, "m", group="marker")
        assert names(watch, 1) == ["m"]
        watch.send(calls.WatchOutcomesRequest(add=group))
        assert caught_up(watch) == ["a"]


def test_an_item_without_reply_group_tells_nobody(wire: Wire) -> None:
    """Its outcome can be read."""
    with wire.watch("group") as watch:
        caught_up(watch)
        wire.put("quiet")
        wire.complete(wire.claim_one())
        finished(wire, "a")
        assert names(watch, 1) == ["a"]
    assert wire.status("quiet") == "DONE"


@pytest.mark.parametrize(
    ("request_frame", "field"),
    [
        (calls.WatchOutcomesRequest(add=calls.OutcomeSources()), "add.sources"),
        (
            calls.WatchOutcomesRequest(add=calls.OutcomeSources(sources=[calls.OutcomeSource(worker_topic="t")])),
            "add.sources[0].reply_group",
        ),
        (calls.WatchOutcomesRequest(remove=calls.OutcomeSources()), "remove.sources"),
        (calls.WatchOutcomesRequest(acknowledge=calls.OutcomeAcknowledgements()), "acknowledge.items"),
        (
            calls.WatchOutcomesRequest(
                acknowledge=calls.OutcomeAcknowledgements(items=[work_item_pb2.WorkItemRef(worker_topic="t")])
            ),
            "acknowledge.items[0].item_id",
        ),
    ],
)
def test_a_wrong_frame_ends_the_stream_with_its_field(
    wire: Wire, request_frame: calls.WatchOutcomesRequest, field: str
) -> None:
    """With the path from the frame's root."""
    with wire.watch() as watch:
        watch.send(request_frame)
        with refused() as told:
            watch.rest()
    assert told[0].reason is Reason.INVALID_FIELD
    assert [each.field for each in told[0].fields] == [field]


def test_an_empty_frame_ends_the_stream(wire: Wire) -> None:
    """Exactly one kind is required."""
    with wire.watch() as watch:
        watch.send(calls.WatchOutcomesRequest())
        with refused() as told:
            watch.rest()
    assert told[0].reason is Reason.PROTOCOL_VIOLATION
