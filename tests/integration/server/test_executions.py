"""Executions over the wire: started, owned, journaled, listed, cancelled, removed."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2
from support.graphs import AT_MS, Graphs, ending, event
from support.server import running_server
from support.store_process import running_store
from support.waiting import until
from support.wire import TOPIC, Wire, refused, seconds


@pytest.fixture
def graphs(wire: Wire) -> Graphs:
    """The executions of the test's namespace."""
    return Graphs(wire)


def test_a_start_enqueues_the_execution(graphs: Graphs) -> None:
    """Its payload holds graph and input as they came, for whichever orchestrator claims it."""
    graph = b'{"nodes": [ ],"name":"\xc3\xa4"}'
    started = graphs.start(graph=graph, input=b'{"x":1}', business_key="k")
    lease = graphs.wire.claim_one()
    assert (started.created, started.HasField("lease")) == (True, False)
    assert lease.spec.item_id == lease.spec.execution_id == started.execution_id
    assert lease.spec.item_type == work_item_pb2.WORK_ITEM_TYPE_EXECUTE_GRAPH
    assert not lease.HasField("attempt_timeout"), "an execution may last as long as it likes"
    assert graph in lease.spec.payload
    payload = json.loads(lease.spec.payload)
    assert (payload["input"], payload["businessKey"]) == ({"x": 1}, "k")
    assert payload["graphHash"] == graphs.get(started.execution_id).graph_hash


def test_equal_business_keys_are_one_execution(graphs: Graphs) -> None:
    """Whatever graph, input and topic a later start has: the first one stands."""
    first = graphs.start(business_key="k", graph=b'{"a":1}')
    again = graphs.start(business_key="k", graph=b'{"a":2}', worker_topic="other", input=b'{"x":1}')
    assert (again.execution_id, again.created) == (first.execution_id, False)
    assert graphs.start("other", business_key="k").created, "another graph has keys of its own"
    assert json.loads(graphs.wire.claim_one().spec.payload)["graph"] == {"a": 1}
    assert graphs.wire.claim(worker_topic="other") == []


def test_a_start_without_a_key_may_be_repeated_by_its_request_id(graphs: Graphs) -> None:
    """Without either, each start is an execution of its own."""
    assert graphs.start(request_id="r").execution_id == graphs.start(request_id="r").execution_id
    assert graphs.start().execution_id != graphs.start().execution_id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("graph_name", "a/b"),
        ("worker_topic", ""),
        ("graph", b"[]"),
        ("graph", b"{"),
        ("input", b"7"),
        ("business_key", "k" * 257),
        ("owner_id", "a b"),
        ("request_id", "/"),
    ],
)
def test_a_start_that_makes_no_sense(graphs: Graphs, field: str, value: str | bytes) -> None:
    """The field is named, and nothing is started."""
    request: dict[str, Any] = {"graph_name": "g", field: value}
    with refused() as told:
        graphs.start(**request)
    assert told[0].reason is Reason.INVALID_FIELD
    assert [each.field for each in told[0].fields] == [field]
    assert graphs.listed() == []


def test_graph_and_input_must_fit_a_payload(graphs: Graphs) -> None:
    """Both sizes are told."""
    with refused() as told:
        graphs.start(input=json.dumps({"x": "x" * 1_100_000}).encode())
    assert told[0].reason is Reason.TOO_LARGE
    assert told[0].metadata["limit_bytes"] == "1048576"


def test_a_full_topic_takes_no_execution(hasty: Wire) -> None:
    """And keeps no trace of it: the same start succeeds once there is room."""
    graphs = Graphs(hasty)
    for _ in range(3):
        graphs.start()
    with refused() as told:
        graphs.start(business_key="k")
    assert told[0].reason is Reason.BACKLOG_FULL
    assert told[0].retry_delay_seconds
    hasty.claim_one()
    assert graphs.start(business_key="k").created
    assert len(graphs.listed()) == 4


def test_the_one_that_starts_comes_before_those_who_wait(graphs: Graphs, wire: Wire) -> None:
    """Who has credit does not get it first, as it gets what nobody wants to own."""
    with wire.session("w1", credit=9) as session:
        for number in range(9):
            assert graphs.start(business_key=f"k-{number}", owner_id="o-1").HasField("lease")
        free = graphs.start(business_key="free").execution_id
        assert [lease.spec.item_id for lease in session.leases(1)] == [free]


def test_the_one_that_starts_may_own_it_at_once(graphs: Graphs) -> None:
    """Nobody else gets it before the lease runs out; a repetition by another gets no lease."""
    started = graphs.start(business_key="k", owner_id="o-1", lease_duration=seconds(1))
    assert started.lease.spec.item_id == started.execution_id
    assert started.lease.lease_duration == seconds(1)
    assert graphs.get(started.execution_id).owner == "o-1"
    assert graphs.wire.claim(wait=0) == []
    assert not graphs.start(business_key="k", owner_id="o-2").HasField("lease")
    assert graphs.wire.claim_one(wait=20).spec.item_id == started.execution_id


def test_the_life_of_an_execution(graphs: Graphs) -> None:
    """From PENDING over its journal to COMPLETED with its output."""
    started = graphs.start(business_key="k")
    pending = graphs.get(started.execution_id)
    assert (pending.status, pending.owner, pending.next_sequence) == (pb.EXECUTION_STATUS_PENDING, "", 1)
    assert (pending.graph_name, pending.business_key, pending.worker_topic) == ("g", "k", TOPIC)
    lease = graphs.wire.claim_one(worker="o-1")
    opened = graphs.open(lease)
    assert (opened.next_sequence, opened.cancel_requested, list(opened.events)) == (1, False, [])
    assert opened.max_output_bytes == 1_048_576
    running = graphs.get(started.execution_id)
    assert (running.status, running.owner, running.HasField("end_time")) == (pb.EXECUTION_STATUS_RUNNING, "o-1", False)
    assert graphs.append(lease, 1, event("GRAPH_STARTED", ""), event(data=b"{}")) == 3
    assert graphs.append(lease, 3, ending()) == 4
    assert graphs.status(started.execution_id) == "COMPLETED"
    graphs.finish(lease, output=b'{"y":2}')
    done = graphs.get(started.execution_id, wait=20)
    assert (done.status, done.output, done.owner) == (pb.EXECUTION_STATUS_COMPLETED, b'{"y":2}', "")
    assert done.start_time.ToMilliseconds() <= done.end_time.ToMilliseconds()
    found = graphs.read(started.execution_id).events
    assert [(each.sequence, each.type, each.node_id) for each in found] == [
        (1, "GRAPH_STARTED", ""),
        (2, "NODE_STARTED", "n"),
        (3, "GRAPH_COMPLETED", ""),
    ]
    assert {each.event_time.ToMilliseconds() for each in found} == {AT_MS}
    assert all(each.HasField("append_time") for each in found)


def test_an_execution_that_failed_says_why(graphs: Graphs) -> None:
    """Its item has the outcome FAILED, so that whoever awaits that is not misled."""
    execution_id, lease = graphs.own()
    graphs.append(lease, 1, ending("FAILED"))
    graphs.wire.business_error(lease, code="EXECUTION_FAILED", message="n failed: Boom")
    failed = graphs.get(execution_id)
    assert (failed.status, failed.failure_message) == (pb.EXECUTION_STATUS_FAILED, "n failed: Boom")
    outcome = graphs.wire.await_outcome(execution_id)
    assert outcome is not None
    assert outcome.business_error.code == "EXECUTION_FAILED"


@pytest.mark.parametrize(
    ("events", "field"),
    [
        ([], "events"),
        ([event("lower")], "events[0].type"),
        ([event("X" * 65)], "events[0].type"),
        ([event(node_id="n" * 1025)], "events[0].node_id"),
        ([pb.JournalEvent(type="A")], "events[0].event_time"),
        ([event(), event("GRAPH_COMPLETED", "", data=b"{}")], "events[1].data"),
        ([ending("RUNNING")], "events[0].data"),
        ([ending(), event()], "events[0].type"),
    ],
)
def test_events_that_make_no_sense(graphs: Graphs, events: list[pb.JournalEvent], field: str) -> None:
    """The field is named, and nothing is appended."""
    execution_id, lease = graphs.own()
    with refused() as told:
        graphs.append(lease, 1, *events)
    assert (told[0].reason, told[0].fields[0].field) == (Reason.INVALID_FIELD, field)
    assert graphs.get(execution_id).next_sequence == 1


def test_an_append_is_bounded(graphs: Graphs) -> None:
    """By the number of its events and by their bytes."""
    _, lease = graphs.own()
    with refused() as told:
        graphs.append(lease, 1, *[event()] * 501)
    assert told[0].reason is Reason.INVALID_FIELD
    with refused() as told:
        graphs.append(lease, 1, event(data=b"x" * 3 * 1024 * 1024))
    assert told[0].reason is Reason.TOO_LARGE
    assert graphs.append(lease, 1, event(data=b"x" * (3 * 1024 * 1024 - 100))) == 2
    assert len(graphs.open(lease).events) == 1, "whatever may be appended can be read"


def test_a_token_that_is_none(graphs: Graphs) -> None:
    """Malformed ones and guessed ones."""
    execution_id, lease = graphs.own()
    forged = lease.lease_token[:-1] + ("A" if lease.lease_token[-1] != "A" else "B")
    for text in ("", "a/b", forged):
        with refused() as told:
            graphs.stub.OpenJournal(pb.OpenJournalRequest(lease_token=text), timeout=20)
        assert told[0].reason is Reason.INVALID_TOKEN
    assert graphs.get(execution_id).owner == "o-1"


def test_an_owner_that_was_replaced_is_fenced_off(graphs: Graphs) -> None:
    """From the moment on that the next one has opened the journal."""
    started = graphs.start(owner_id="o-1", lease_duration=seconds(1))
    graphs.open(started.lease)
    later = graphs.wire.claim_one(worker="o-2", wait=20)
    assert graphs.append(started.lease, 1, event("GRAPH_STARTED", "")) == 2, "nobody has opened it since"
    assert [each.type for each in graphs.open(later).events] == ["GRAPH_STARTED"]
    with refused() as told:
        graphs.append(started.lease, 2, event())
    assert (told[0].reason, told[0].metadata["fence"]) == (Reason.FENCED_OFF, str(later.fence))
    with refused() as told:
        graphs.open(started.lease)
    assert told[0].reason is Reason.SUPERSEDED
    assert graphs.append(later, 2, event()) == 3


def test_who_waits_for_events_gets_them_at_once(graphs: Graphs) -> None:
    """And who waits in vain is told where the execution stands."""
    execution_id, lease = graphs.own()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(graphs.read, execution_id, 1, 20)
        graphs.append(lease, 1, event())
        page = waiting.result()
    assert ([each.sequence for each in page.events], page.status) == ([1], pb.EXECUTION_STATUS_RUNNING)
    assert list(graphs.read(execution_id, 2, wait=0.05).events) == []
    graphs.append(lease, 2, ending())
    assert graphs.read(execution_id, 3, wait=20).status == pb.EXECUTION_STATUS_COMPLETED, "there is nothing to wait for"


def test_a_running_owner_is_told_of_a_cancellation(graphs: Graphs) -> None:
    """On its stream at once, and with each heartbeat; its lease goes on, and it completes as cancelled."""
    execution_id = graphs.start().execution_id
    with graphs.wire.session("o-1", credit=1) as session:
        (lease,) = session.leases(1)
        graphs.open(lease)
        graphs.cancel(execution_id, "enough")
        (asked,) = session.expect("cancels").requests
        assert (asked.worker_topic, asked.item_id, asked.fence) == (TOPIC, execution_id, lease.fence)
    assert graphs.wire.heartbeat(lease).cancel_requested
    graphs.append(lease, 1, ending("CANCELLED"))
    graphs.finish(lease, cancelled=True)
    done = graphs.get(execution_id)
    assert (done.status, done.cancel_requested, done.cancel_reason) == (pb.EXECUTION_STATUS_CANCELLED, True, "enough")
    graphs.cancel(execution_id)


def test_a_cancellation_waits_for_the_next_owner(graphs: Graphs) -> None:
    """Nobody owns the execution when it is asked for; whoever opens the journal learns of it, and why."""
    execution_id = graphs.start().execution_id
    graphs.cancel(execution_id, "enough")
    opened = graphs.open(graphs.wire.claim_one())
    assert (opened.cancel_requested, opened.cancel_reason) == (True, "enough")


def test_a_dead_letter_is_put_back_to_be_cancelled(graphs: Graphs) -> None:
    """Else nobody would carry the cancellation out."""
    execution_id, lease = graphs.own()
    graphs.wire.fail(lease, non_retryable=True)
    stuck = graphs.get(execution_id)
    assert stuck.dead_letter_reason == work_item_pb2.DEAD_LETTER_REASON_NON_RETRYABLE
    assert stuck.status == pb.EXECUTION_STATUS_RUNNING
    graphs.cancel(execution_id)
    assert graphs.open(graphs.wire.claim_one()).cancel_requested


def test_what_has_ended_is_not_cancelled(graphs: Graphs) -> None:
    """Neither before nor after its item has its outcome."""
    execution_id, lease = graphs.own()
    graphs.append(lease, 1, ending())
    for _ in range(2):
        with refused() as told:
            graphs.cancel(execution_id)
        assert told[0].reason is Reason.WRONG_STATUS
        graphs.wire.complete(lease)


def test_a_discarded_execution_has_failed(graphs: Graphs, namespace: str) -> None:
    """Its journal does not know; the item has the last word, in lists too."""
    execution_id, lease = graphs.own()
    graphs.wire.fail(lease, non_retryable=True)
    request = ops.DiscardDeadLettersRequest(
        namespace=namespace, worker_topic=TOPIC, filter=ops.DeadLetterFilter(item_ids=[execution_id])
    )
    graphs.wire.ops.DiscardDeadLetters(request, timeout=20)
    found = graphs.get(execution_id)
    assert (found.status, found.failure_message) == (pb.EXECUTION_STATUS_FAILED, "its work item was discarded")
    assert graphs.listed(status=pb.EXECUTION_STATUS_RUNNING) == [], "the list was behind, and is mended"
    assert graphs.listed(status=pb.EXECUTION_STATUS_FAILED) == [execution_id]


def test_executions_are_listed_latest_first(graphs: Graphs) -> None:
    """Page by page, each once, without outputs."""
    ids = [graphs.start(business_key=str(number)).execution_id for number in range(7)]
    found: list[pb.Execution] = []
    token = ""
    sizes = []
    while True:
        page = graphs.list(page_size=3, page_token=token)
        found += page.executions
        sizes.append(len(page.executions))
        token = page.next_page_token
        if not token:
            break
    assert sizes == [3, 3, 1]
    starts = [each.start_time.ToMilliseconds() for each in found]
    assert starts == sorted(starts, reverse=True)
    assert sorted(each.execution_id for each in found) == sorted(ids)
    assert {each.business_key for each in found} == {str(number) for number in range(7)}


def test_lists_are_chosen_by_status_and_graph(graphs: Graphs) -> None:
    """Each execution stands where its journal says."""
    running, _ = graphs.own(business_key="r")
    done, finished = graphs.own(business_key="d")
    graphs.append(finished, 1, ending())
    pending = graphs.start("h").execution_id
    assert graphs.listed(status=pb.EXECUTION_STATUS_PENDING) == [pending]
    assert graphs.listed(status=pb.EXECUTION_STATUS_RUNNING) == [running]
    assert graphs.listed(status=pb.EXECUTION_STATUS_COMPLETED, graph_name="g") == [done]
    assert graphs.listed(status=pb.EXECUTION_STATUS_COMPLETED, graph_name="h") == []
    assert graphs.listed(graph_name="h") == [pending]


@pytest.mark.parametrize("request_", [{"page_size": 1001}, {"page_token": "?"}, {"status": 99}, {"graph_name": "/"}])
def test_a_list_that_makes_no_sense(graphs: Graphs, request_: dict[str, object]) -> None:
    """The field is named."""
    with refused() as told:
        graphs.list(**request_)
    assert [each.field for each in told[0].fields] == list(request_)


def test_what_is_not_there(graphs: Graphs) -> None:
    """NOT_FOUND from every call that names an execution."""
    for call in (graphs.get, graphs.cancel, graphs.read):
        with refused() as told:
            call("nobody")
        assert told[0].reason is Reason.NOT_FOUND


class Short:
    """A server that keeps what has ended for a moment only, and its store."""

    def __init__(self, address: str, url: str) -> None:
        self.address = address
        self.url = url


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Short]:
    """A server without retention, on a store to look into."""
    store: Path = tmp_path_factory.mktemp("short")
    with (
        running_store(store) as url,
        running_server(store, "--redis-url", url, "--retention-seconds", "0", "--drain-seconds", "0") as address,
    ):
        yield Short(address, url)


def test_a_journal_goes_with_its_item(short: Short, namespace: str) -> None:
    """Once the retention is over nothing is left: no journal, no record, no entry; and the key is free again."""
    with Wire(short.address, namespace) as wire, Redis.from_url(short.url) as admin:
        graphs = Graphs(wire)
        execution_id, lease = graphs.own(business_key="k")
        graphs.append(lease, 1, ending())
        graphs.finish(lease)
        until(lambda: graphs.listed() == [], "the execution is removed")
        until(lambda: not admin.keys(f"bloge:{{{namespace}/x/*"), "its journal is removed")
        until(lambda: not admin.keys(f"*{execution_id}*"), "its item is removed")
        assert not admin.keys(f"bloge:{{{namespace}}}:executions:*")
        again = graphs.start(business_key="k")
        assert (again.execution_id, again.created) == (execution_id, True)
