"""What happens to items, told as it happens: over gRPC, over HTTP, and by the store itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from redis import Redis

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from support.server import ServerProcess, running_process
from support.wire import PATIENCE, TOPIC, Wire, refused, seconds


def kinds(events: list[ops.TopicEvent]) -> list[str]:
    """Return what happened, with what is said about it."""
    prefix = "TOPIC_EVENT_KIND_"
    return [f"{ops.TopicEventKind.Name(each.kind).removeprefix(prefix)} {each.detail}".strip() for each in events]


def read(wire: Wire, **request: Any) -> list[ops.TopicEvent]:
    """Return the events that there are."""
    call = ops.TailJournalRequest(**{"namespace": wire.namespace, "last_events": 1000, **request})
    return [event for reply in wire.ops.TailJournal(call, timeout=PATIENCE) for event in reply.events]


class Tail:
    """A view that goes on.

    Args:
        wire: to the server.
        request: which events.
    """

    def __init__(self, wire: Wire, **request: Any) -> None:
        call = ops.TailJournalRequest(namespace=wire.namespace, follow=True, **request)
        self.call = wire.ops.TailJournal(call, timeout=PATIENCE)
        self._told: list[ops.TopicEvent] = []
        self._hear()

    def events(self, count: int) -> list[ops.TopicEvent]:
        """Return a number of events, as soon as they are told."""
        while len(self._told) < count:
            self._hear()
        found, self._told = self._told, []
        assert len(found) == count
        return found

    def _hear(self) -> None:
        reply = next(self.call)
        self._told.extend(reply.events)
        self.position = reply.position


def test_the_way_of_an_item_is_told(wire: Wire) -> None:
    """In order, with the worker and the fence that did it, and whom the outcome is for."""
    wire.put("a", reply_group="e1", retry_policy={"attempts": 1})
    first = wire.claim_one(worker="w1")
    wire.fail(first)
    second = wire.claim_one(worker="w2", wait=10)
    wire.complete(second)
    events = read(wire, worker_topic=TOPIC)
    assert kinds(events) == ["ENQUEUED", "CLAIMED", "RETRY FAILED", "CLAIMED", "OUTCOME COMPLETED"]
    assert [(event.worker_id, event.fence) for event in events] == [
        ("", 0), ("w1", first.fence), ("w1", first.fence), ("w2", second.fence), ("w2", second.fence),
    ]  # fmt: skip
    assert {event.reply_group for event in events} == {"e1"}
    assert {(event.item.namespace, event.item.worker_topic, event.item.item_id) for event in events} == {
        (wire.namespace, TOPIC, "a")
    }
    times = [event.event_time.ToMilliseconds() for event in events]
    assert times == sorted(times)
    assert times[0] > 1_700_000_000_000


def test_what_people_and_time_do_is_told(wire: Wire) -> None:
    """Dead letters and what becomes of them, late outputs, lost leases, deadlines."""
    wire.put("a", "b")
    late, other = wire.claim(2, lease_duration=seconds(1))
    wire.fail(other, non_retryable=True)
    again = wire.claim_one(worker="w2", wait=20)
    wire.complete(late, output=b"late")
    wire.fail(again)
    wire.ops.AdoptLateOutput(ops.AdoptLateOutputRequest(item=wire.ref("a"), fence=late.fence))
    criteria = ops.DeadLetterFilter(item_ids=["b"])
    wire.ops.ReplayDeadLetters(
        ops.ReplayDeadLettersRequest(namespace=wire.namespace, worker_topic=TOPIC, filter=criteria)
    )
    wire.cancel("b")
    assert kinds(read(wire, item_id="a")) == [
        "ENQUEUED", "CLAIMED", "RETRY LEASE_LOST", "CLAIMED", "LATE_OUTPUT SUPERSEDED", "DEAD_LETTER BUDGET_SPENT",
        "ADOPTED", "OUTCOME COMPLETED",
    ]  # fmt: skip
    assert kinds(read(wire, item_id="b")) == [
        "ENQUEUED", "CLAIMED", "DEAD_LETTER NON_RETRYABLE", "REPLAYED", "OUTCOME CANCELLED",
    ]  # fmt: skip


def test_a_live_view_tells_what_happens_in_every_topic(wire: Wire) -> None:
    """Also in topics that come later; and a second view goes on behind any position of the first."""
    tail = Tail(wire)
    wire.put("a")
    assert [event.item.item_id for event in tail.events(1)] == ["a"]
    position = tail.position
    wire.put("b", worker_topic="another")
    wire.claim_one()
    assert [(event.item.worker_topic, event.item.item_id) for event in tail.events(2)] == [
        ("another", "b"), (TOPIC, "a"),
    ]  # fmt: skip
    assert [event.item.item_id for event in read(wire, position=position)] == ["b", "a"]
    tail.call.cancel()


def test_views_are_filtered(wire: Wire) -> None:
    """By kind, item, execution and worker."""
    wire.put("a", reply_group="e1")
    wire.put("b", reply_group="e2")
    for lease in wire.claim(2, worker="w1"):
        wire.complete(lease)
    assert kinds(read(wire, kinds=[ops.TOPIC_EVENT_KIND_CLAIMED, 99])) == ["CLAIMED", "CLAIMED"]
    assert {event.item.item_id for event in read(wire, reply_group="e2")} == {"b"}
    assert kinds(read(wire, worker_id="w1", item_id="a")) == ["CLAIMED", "OUTCOME COMPLETED"]
    assert kinds(read(wire, last_events=2)) == ["OUTCOME COMPLETED", "OUTCOME COMPLETED"]
    assert read(wire, last_events=0) == []


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [({"worker_topic": "a b"}, "worker_topic"), ({"position": "x"}, "position"), ({"last_events": -1}, "last_events")],
)
def test_what_is_wrong_is_named(wire: Wire, request_fields: dict[str, Any], field: str) -> None:
    """Before anything is read."""
    with refused() as told:
        read(wire, **request_fields)
    assert (told[0].reason, told[0].fields[0].field) == (Reason.INVALID_FIELD, field)


def stream(http: httpx.Client, namespace: str, last_id: str = "", **query: str | int) -> Iterator[dict[str, Any]]:
    """Yield the messages of server-sent events: their id, and their data if they have some."""
    headers = {"X-Namespace": namespace} | ({"Last-Event-ID": last_id} if last_id else {})
    with http.stream("GET", "/api/v1/journal", params=query, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        message: dict[str, Any] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name in {"id", "data"}:
                message[name] = json.loads(value) if name == "data" else value
            elif not line and "data" in message:
                yield message
                message = {}


def test_browsers_look_on_and_come_back(http: httpx.Client, wire: Wire) -> None:
    """By server-sent events; what happened while they were away is told first."""
    wire.put("a")
    wire.claim_one(worker="w1")
    messages = stream(http, wire.namespace, last=10)
    first = next(messages)
    assert [(event["kind"], event["itemId"], event["workerId"]) for event in first["data"]] == [
        ("enqueued", "a", None), ("claimed", "a", "w1"),
    ]  # fmt: skip
    messages.close()  # type: ignore[attr-defined]  # a generator
    wire.put("b")
    again = stream(http, wire.namespace, last_id=first["id"], kind="enqueued,retry")
    assert [event["itemId"] for event in next(again)["data"]] == ["b"]
    again.close()  # type: ignore[attr-defined]  # a generator


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ({"topik": "a"}, {}, "topik"),
        ({"kind": "A b"}, {}, "kind"),
        ({}, {"Last-Event-ID": "nonsense"}, "Last-Event-ID"),
    ],
)
def test_a_wrong_request_for_events_is_told(
    http: httpx.Client, query: dict[str, str], headers: dict[str, str], field: str
) -> None:
    """As any other request's mistake."""
    answer = http.get("/api/v1/journal", params=query, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["details"][0].startswith(f"{field}: ")


def test_a_live_view_survives_a_restart(tmp_path: Path) -> None:
    """The position that one server told is good at the next one."""
    with running_process(tmp_path) as server, Wire(server.address, "ns") as wire:
        tail = Tail(wire)
        wire.put("a")
        tail.events(1)
        position = tail.position
    with running_process(tmp_path) as server, Wire(server.address, "ns") as wire:
        wire.put("b")
        assert [event.item.item_id for event in Tail(wire, position=position).events(1)] == ["b"]


def test_without_a_journal_nothing_is_written_and_that_is_told(tmp_path: Path) -> None:
    """0 turns it off, and what was kept before goes away."""
    with running_process(tmp_path) as server, Wire(server.address, "ns") as wire:
        wire.put("a")
        assert kinds(read(wire)) == ["ENQUEUED"]
    with running_process(tmp_path, "--journal-events", "0") as server, Wire(server.address, "ns") as wire:
        wire.claim_one()
        with refused() as told:
            read(wire)
        assert told[0].reason is Reason.NOT_IMPLEMENTED
        assert "--journal-events" in told[0].message
        answer = httpx.get(f"http://{server.http_address}/api/v1/journal")
        assert answer.status_code == 501
        with Redis(unix_socket_path=str(tmp_path / "store.sock")) as store:
            assert store.exists(f"bloge:{{ns/t/{TOPIC}}}:events") == 0


def test_a_journal_is_capped(tmp_path: Path) -> None:
    """By events, whatever the size of the calls that write them."""
    with running_process(tmp_path, "--journal-events", "1000") as server, Wire(server.address, "ns") as wire:
        wire.put(*(f"big-{number}" for number in range(15_000)))
        for number in range(50):
            wire.put(f"small-{number}")
        with Redis(unix_socket_path=str(tmp_path / "store.sock")) as store:
            assert store.xlen(f"bloge:{{ns/t/{TOPIC}}}:events") <= 250
        assert read(wire, last_events=1)[0].item.item_id == "small-49"


def test_a_caller_that_leaves_ends_its_view(server_process: ServerProcess, wire: Wire) -> None:
    """Nothing of it is left on the server that others would notice."""
    tail = Tail(wire)
    tail.call.cancel()
    with pytest.raises(grpc.RpcError):
        next(tail.call)
    assert not [entry for entry in server_process.log if "call failed" in str(entry["event"])]
