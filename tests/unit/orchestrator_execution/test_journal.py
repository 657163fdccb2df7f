"""Events on their way to a journal and back."""

import json

import pytest

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge_orchestrator.batches import batches
from bloge_orchestrator.execution.events import Event, EventError, GraphCancelled, NodeCompleted, NodeSuspended
from bloge_orchestrator.execution.journal import BATCH_BYTES, BATCH_EVENTS, from_message, to_message
from support.executions import Simulation, compiled, remote


def numbered(event: Event) -> pb.JournalEvent:
    """Return an event as the server gives it back."""
    message = to_message(event)
    message.sequence = event.sequence
    return message


def test_events_survive_the_way() -> None:
    """Of every kind that an execution has, with all they say."""
    simulation = Simulation(compiled(remote("far") + " node a : Op { timeout = 1s retry = { attempts: 1 } }"))
    simulation.fails("a")
    events = [*simulation.events, GraphCancelled(sequence=99, at_ms=5, reason="\N{SNOWMAN}")]
    assert [from_message(numbered(event)) for event in events] == events


def test_what_programs_in_other_languages_see() -> None:
    """Type, node and time beside the data, which is JSON."""
    message = to_message(NodeCompleted(sequence=7, at_ms=1_800_000_000_123, node_id="loop[3]/n", output={"ä": 1}))
    assert (message.type, message.node_id, message.event_time.ToMilliseconds()) == (
        "NODE_COMPLETED",
        "loop[3]/n",
        1_800_000_000_123,
    )
    assert json.loads(message.data) == {"output": {"ä": 1}, "gathered": False}
    assert "ä".encode() in message.data


def test_half_a_surrogate_pair_survives() -> None:
    """JSON allows it, UTF-8 does not: a worker's output may hold it, and must not stop the execution."""
    event = NodeCompleted(sequence=1, at_ms=1, node_id="n", output="\ud800")
    assert from_message(numbered(event)) == event


@pytest.mark.parametrize(
    "message",
    [
        pb.JournalEvent(type="NODE_MULTIPLIED", data=b"{}"),
        pb.JournalEvent(type="NODE_COMPLETED", data=b"{"),
        pb.JournalEvent(type="NODE_COMPLETED", data=b"{}"),
        pb.JournalEvent(type="NODE_COMPLETED", data=b"[]"),
    ],
)
def test_what_is_no_event_is_told(message: pb.JournalEvent) -> None:
    """A later version may have written it."""
    with pytest.raises(EventError):
        from_message(message)


def test_appends_are_bounded_by_number_and_size() -> None:
    """One that is larger alone goes alone."""

    def cut(*sizes: int) -> list[int]:
        events = [pb.JournalEvent(type="A", data=bytes(size)) for size in sizes]
        return [len(batch) for batch in batches(events, BATCH_EVENTS, BATCH_BYTES)]

    assert cut(*[10] * (2 * BATCH_EVENTS + 1)) == [BATCH_EVENTS, BATCH_EVENTS, 1]
    assert cut(1_000_000, 1_000_000, 1_000_000, 2_900_000, 10) == [2, 1, 1, 1]
    assert cut() == []


def test_the_exact_bytes_of_an_item_are_recorded() -> None:
    """Whatever they are."""
    event = NodeSuspended(sequence=1, at_ms=1, node_id="n", item_id="i", worker_topic="t", work_item=bytes(range(256)))
    assert from_message(numbered(event)) == event
