"""Two servers on one store behave as one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import ops_service_pb2
from bloge_server.store import keys
from support.graphs import Graphs, event
from support.server import running_server
from support.store_process import running_store
from support.waiting import until
from support.wire import TOPIC, Wire, seconds


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a store that both servers use."""
    with running_store(tmp_path_factory.mktemp("shared")) as url:
        yield url


@pytest.fixture(scope="module")
def addresses(shared_store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Addresses of both servers."""
    flags = ("--redis-url", shared_store, "--drain-seconds", "0")
    unused: Path = tmp_path_factory.mktemp("unused")
    with running_server(unused, *flags) as one, running_server(unused, *flags) as other:
        yield one, other


@pytest.fixture
def here(addresses: tuple[str, str], namespace: str) -> Iterator[Wire]:
    """Return a wire to the first server."""
    with Wire(addresses[0], namespace) as wire:
        yield wire


@pytest.fixture
def there(addresses: tuple[str, str], namespace: str) -> Iterator[Wire]:
    """Return a wire to the second server, in the same namespace."""
    with Wire(addresses[1], namespace) as wire:
        yield wire


def test_an_enqueue_here_wakes_a_claim_there(here: Wire, there: Wire) -> None:
    """A waiting claim and a session with credit both hear of it."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(there.claim, wait=20)
        here.put("a")
        assert [lease.spec.item_id for lease in waiting.result()] == ["a"]
    with there.session(credit=1) as session:
        here.put("b")
        assert session.leases(1)[0].spec.item_id == "b"


def test_a_lease_given_here_is_reported_there(here: Wire, there: Wire) -> None:
    """Servers keep nothing that another one lacks; the same report gets the same answer anywhere."""
    here.put("a")
    lease = here.claim_one()
    assert there.heartbeat(lease).reason == 0
    assert there.complete(lease, output=b"x") == here.complete(lease, output=b"x")


def test_an_outcome_there_reaches_who_watches_and_who_awaits_here(here: Wire, there: Wire) -> None:
    """Wherever the report came in."""
    here.put("a", reply_group="group")
    with here.watch("group") as watch, ThreadPoolExecutor() as pool:
        assert watch.next().caught_up
        waiting = pool.submit(here.await_outcome)
        there.complete(there.claim_one(), output=b"x")
        assert [outcome.output for outcome in watch.next().outcomes] == [b"x"]
        awaited = waiting.result()
    assert awaited is not None
    assert awaited.output == b"x"


def test_an_acknowledgement_there_counts_here(here: Wire, there: Wire) -> None:
    """A recorded outcome never comes again, on any server."""
    here.put("a", reply_group="group")
    here.complete(here.claim_one())
    with there.watch("group") as watch:
        assert [outcome.item.item_id for outcome in watch.next().outcomes] == ["a"]
        watch.send(there.acknowledgement("a"))
        watch.close()
        watch.rest()
    with here.watch("group") as watch:
        assert list(watch.next().outcomes) == []


def test_a_cancel_there_stops_the_worker_here(here: Wire, there: Wire) -> None:
    """The session hears of it on its own server."""
    here.put("a")
    with here.session(credit=1) as session:
        (lease,) = session.leases(1)
        there.cancel("a")
        (cancel,) = session.expect("cancels").cancels
    assert (cancel.item_id, cancel.fence, cancel.reason) == ("a", lease.fence, Reason.CANCELLED.number)


def test_events_appended_there_reach_who_waits_here(here: Wire, there: Wire) -> None:
    """And a cancellation asked for here reaches the owner there."""
    execution_id = Graphs(here).start().execution_id
    with there.session("o-1", credit=1) as session, ThreadPoolExecutor() as pool:
        (lease,) = session.leases(1)
        Graphs(there).open(lease)
        waiting = pool.submit(Graphs(here).read, execution_id, 1, 20)
        Graphs(there).append(lease, 1, event())
        assert len(waiting.result().events) == 1
        Graphs(here).cancel(execution_id)
        assert session.expect("cancels").requests[0].item_id == execution_id


def test_a_worker_may_come_back_to_the_other_server(here: Wire, there: Wire) -> None:
    """Its leases go with it."""
    here.put("a")
    with here.session("w1", credit=1) as session:
        (lease,) = session.leases(1)
    with there.work() as session:
        welcome = session.hello(
            namespace=there.namespace,
            worker_id="w1",
            worker_topics=["topic"],
            held_lease_tokens=[lease.lease_token],
        )
    assert [verdict.reason for verdict in welcome.held_leases] == [0]


def test_a_due_time_set_there_is_kept_here(here: Wire, there: Wire) -> None:
    """A server that knows of nothing but the herald wakes the session in time for a retry."""
    with here.session(credit=1) as session:
        session.settle()
        there.put("a", start_delay=seconds(0.2))
        assert session.leases(1)[0].spec.item_id == "a"


def test_lost_wake_ups_are_made_up_for(here: Wire, there: Wire, shared_store: str) -> None:
    """After the connections for messages broke, watchers hear what they missed."""
    here.put("a", "b", reply_group="group")
    with here.watch("group") as watch:
        assert watch.next().caught_up
        with Redis.from_url(shared_store) as admin:
            admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            there.complete(*there.claim(2))
        found: list[str] = []
        while len(found) < 2:
            found += [outcome.item.item_id for outcome in watch.next().outcomes]
    assert sorted(found) == ["a", "b"]


@pytest.mark.parametrize("place", ["here", "there"])
def test_outcomes_come_though_the_store_lost_its_last_writes(
    here: Wire, there: Wire, shared_store: str, place: str
) -> None:
    """A replica that took over counts outcomes from before: watchers do not take new ones for what they have seen."""
    base = keys.topic_base(here.namespace, TOPIC)
    with Redis.from_url(shared_store) as admin, here.watch("group") as watch:
        assert watch.next().caught_up
        for item_id in ("a", "b"):
            here.put(item_id, reply_group="group")
            here.complete(here.claim_one())
            assert [outcome.item.item_id for outcome in watch.next().outcomes] == [item_id]
        admin.delete(f"{base}outbox:group", f"{base}outboxes")
        admin.hset(f"{base}topic", "outcomes", "0")
        admin.hset(f"{base}topic", "unacknowledged", "0")
        admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        worker = {"here": here, "there": there}[place]
        worker.put("c", reply_group="group")
        worker.complete(worker.claim_one())
        assert [outcome.item.item_id for outcome in watch.next().outcomes] == ["c"]


def test_a_worker_is_asked_to_leave_wherever_it_is(here: Wire, there: Wire) -> None:
    """Its session hears of it on its own server."""
    with here.session("w1", capabilities=["worker-drain"]) as session:
        there.ops.DrainWorker(ops_service_pb2.DrainWorkerRequest(namespace=there.namespace, worker_id="w1"))
        assert session.expect("draining").worker


def test_a_session_there_ends_an_earlier_one_here(here: Wire, there: Wire) -> None:
    """What this server would still offer the worker would not arrive."""
    with here.session("w1", credit=9) as earlier:
        earlier.settle()
        with there.session("w1") as later:
            assert earlier.rest() == []
            later.settle()
        with here.session("w1") as latest:
            latest.settle()


def test_a_topic_that_nobody_needs_is_forgotten(here: Wire, shared_store: str) -> None:
    """What workers name and nobody uses costs no server anything for long; what holds items is never forgotten."""
    used, unused = keys.wake_channel(here.namespace, "used"), keys.wake_channel(here.namespace, "unused")
    here.put("a", worker_topic="used")
    with Redis.from_url(shared_store) as admin:

        def listeners() -> list[int]:
            found = admin.execute_command("PUBSUB", "SHARDNUMSUB", used, unused)
            return list(dict(zip(found[::2], found[1::2], strict=True)).values())

        with here.session("w1", "used", "unused"):
            until(lambda: listeners() == [2, 1], "both topics are listened to")
        until(lambda: listeners() == [2, 0], "the unused topic is forgotten")
