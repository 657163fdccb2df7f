"""Whole servers on stores that break, and several on one cluster."""

from collections.abc import Iterator

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as item_calls
from support.cluster import ClusterProcesses
from support.server import running_server
from support.tcp_store import TcpStore
from support.waiting import until
from support.wire import PATIENCE, Watch, Wire, refused, seconds


@pytest.fixture
def wires(
    cluster: ClusterProcesses, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Wire, Wire]]:
    """Return wires to two servers on one cluster."""
    folder = tmp_path_factory.mktemp("servers")
    with (
        running_server(folder, "--redis-url", cluster.url) as first,
        running_server(folder, "--redis-url", cluster.url) as second,
        Wire(first, namespace) as here,
        Wire(second, namespace) as there,
    ):
        yield here, there


def watching(wire: Wire, topic: str) -> Watch:
    """Watch the outcomes of a topic; there are none yet."""
    watch = wire.watch()
    sources = item_calls.OutcomeSources(sources=[wire.source(topic=topic)])
    watch.send(item_calls.WatchOutcomesRequest(add=sources))
    assert watch.next().caught_up
    return watch


def test_what_happens_at_one_server_is_heard_at_the_other(wires: tuple[Wire, Wire]) -> None:
    """Outcomes are not polled for, so only wake-ups bring them; topics are spread over the nodes."""
    here, there = wires
    for topic in ("alpha", "beta", "gamma", "delta"):
        with watching(there, topic) as watch:
            for item_id in ("first", "second"):
                here.put(item_id, worker_topic=topic, reply_group="group")
                here.complete(here.claim_one(worker_topic=topic, wait=20))
                assert [outcome.item.item_id for outcome in watch.next().outcomes] == [item_id]


def test_a_server_outlives_its_store(
    tcp_store: TcpStore, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Calls are refused with a time to come again; a session claims, a sweep ends a wait, without a new start."""
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder, "--redis-url", tcp_store.url) as address, Wire(address, namespace) as wire:
        wire.put("before")
        wire.put("later", start_delay=seconds(1))
        tcp_store.kill()
        with refused() as told:
            wire.put("during")
        assert told[0].reason is Reason.STORE_UNAVAILABLE
        assert told[0].retry_delay_seconds
        tcp_store.start()
        assert [wire.claim_one(wait=PATIENCE / 2).spec.item_id for _ in range(2)] == ["before", "later"]


def test_a_session_outlives_its_store(
    tcp_store: TcpStore, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A report that the store cannot judge gets a verdict that says so; repeated on the same stream it is accepted."""
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder, "--redis-url", tcp_store.url) as address, Wire(address, namespace) as wire:
        wire.put("a", "b")
        with wire.session(credit=2) as session:
            leases = session.leases(2)
            tcp_store.kill()
            complete = lease_pb2.CompleteReport(lease_token=leases[0].lease_token, report_id=1)
            heartbeat = lease_pb2.HeartbeatReport(lease_token=leases[1].lease_token, report_id=2)
            session.report(completes=[complete], heartbeats=[heartbeat])
            assert {each.reason for each in session.verdicts(2).values()} == {Reason.STORE_UNAVAILABLE.number}
            tcp_store.start()

            def accepted() -> bool:
                session.report(completes=[complete], heartbeats=[heartbeat])
                return {each.reason for each in session.verdicts(2).values()} == {0}

            until(accepted, "the reports are accepted")
        assert wire.status("a") == "DONE"
