"""Servers and workers that are replaced while work flows: nothing fails, and nothing is done twice."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from chaos.processes import free_port

from bloge.remote_workers.v1 import work_item_pb2 as pb
from support.loads import Orchestrator
from support.loops import running_proxy
from support.server import ServerProcess
from support.store_process import running_store
from support.wire import Wire
from support.worker_process import WorkerProcess

STEP = 100
"""Outcomes that must come between two restarts: the load goes on."""


class Site:
    """Servers on one store, on ports of their own, behind one address."""

    def __init__(self, store_url: str, count: int) -> None:
        self._store_url = store_url
        self.addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
        self.servers: dict[str, ServerProcess] = {}

    def start(self, address: str) -> None:
        """Start a server, again or for the first time."""
        server = ServerProcess("--listen", address, "--redis-url", self._store_url, "--drain-seconds", "5")
        self.servers[address] = server
        server.serving()

    def close(self) -> None:
        """Stop every server."""
        for server in self.servers.values():
            server.stop()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[[int], Site]]:
    """Return a maker of sites; they end with the test."""
    with ExitStack() as stack:
        store_url = stack.enter_context(running_store(tmp_path))

        def make(count: int) -> Site:
            site = Site(store_url, count)
            stack.callback(site.close)
            for address in site.addresses:
                site.start(address)
            return site

        yield make


def check(orchestrator: Orchestrator, workers: list[WorkerProcess], wire: Wire, *, once: bool) -> None:
    """Check that every item was done exactly once, as the orchestrator sees it, and how often handlers ran."""
    assert sorted(orchestrator.outcomes) == sorted(orchestrator.enqueued)
    different = {item: found for item, found in orchestrator.outcomes.items() if len(found) > 1}
    assert not different, "one outcome for each item, however often it is delivered"
    outcomes = [pb.Outcome.FromString(outcome) for found in orchestrator.outcomes.values() for outcome in found]
    assert {outcome.kind for outcome in outcomes} == {pb.OUTCOME_KIND_COMPLETED}
    assert {outcome.retry_count for outcome in outcomes} == {0}
    runs = Counter(item for worker in workers for item in worker.runs())
    assert set(runs) == set(orchestrator.enqueued)
    if once:
        assert {item: count for item, count in runs.items() if count > 1} == {}, "no handler ran twice"
        assert {wire.get(item).lease_loss_count for item in orchestrator.enqueued} == {0}


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_server_restart_under_load(make_site: Callable[[int], Site], namespace: str, how: str) -> None:
    """Server restarted under load: no item fails, none is done twice."""
    site = make_site(1)
    (address,) = site.addresses
    with (
        WorkerProcess(address, namespace, "w1", slots=20) as one,
        WorkerProcess(address, namespace, "w2", slots=20) as two,
        Orchestrator(address, namespace).at_work() as orchestrator,
    ):
        for _ in range(3):
            orchestrator.wait_for(STEP)
            server = site.servers[address]
            server.stop() if how == "SIGTERM" else server.kill()
            site.start(address)
        orchestrator.wait_for(STEP)
        orchestrator.finish()
        assert orchestrator.interruptions
        with Wire(address, namespace) as wire:
            check(orchestrator, [one, two], wire, once=True)


def test_rolling_restart_loses_nothing(make_site: Callable[[int], Site], namespace: str) -> None:
    """Rolling restart of 3 servers and 6 workers under load: every item is done exactly once."""
    site = make_site(3)
    with ExitStack() as stack:
        proxy = stack.enter_context(running_proxy(*site.addresses))
        names = iter(f"w{number}" for number in range(100))

        def new_worker() -> WorkerProcess:
            return stack.enter_context(WorkerProcess(proxy.address, namespace, next(names), slots=8, grace=20))

        working = [new_worker() for _ in range(6)]
        for worker in working:
            worker.wait_for("connected")
        workers = list(working)
        orchestrator = stack.enter_context(Orchestrator(proxy.address, namespace).at_work())
        orchestrator.wait_for(STEP)
        for address in site.addresses:
            site.servers[address].stop()
            orchestrator.wait_for(STEP)
            site.start(address)
            for _ in range(2):
                leaver = working.pop(0)
                assert leaver.stop() == 0
                working.append(new_worker())
                workers.append(working[-1])
                working[-1].wait_for("connected")
                orchestrator.wait_for(STEP)
        orchestrator.finish()
        assert orchestrator.interruptions
        with Wire(site.addresses[0], namespace) as wire:
            check(orchestrator, workers, wire, once=True)
