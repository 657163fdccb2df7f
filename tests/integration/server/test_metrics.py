"""Every metric of the catalogue moves when what it counts happens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_stream_pb2 as frames
from bloge_server.telemetry.catalogue import CATALOGUE, OTHER, TOPIC
from support.server import ServerProcess, running_process
from support.waiting import until
from support.wire import PATIENCE, Wire, WorkSession, seconds
from support.wire import TOPIC as WORKER_TOPIC

FLAGS = ("--offer-lease-seconds", "1", "--metrics-topics", "1000")
KINDS = {metric.name: metric for metric in CATALOGUE}
_Move = TypeVar("_Move", bound=Callable[["World"], object])


class World:
    """A control plane, a namespace of the test's own, and what `/metrics` says.

    Args:
        server: the control plane.
        wire: to it.
    """

    def __init__(self, server: ServerProcess, wire: Wire) -> None:
        self.wire = wire
        self.data_dir = server.data_dir
        self.http = httpx.Client(base_url=f"http://{server.http_address}", timeout=PATIENCE)
        self.sessions: list[WorkSession] = []

    def close(self) -> None:
        """End everything that was begun."""
        for session in self.sessions:
            session.abandon()
        self.http.close()

    def value(self, name: str, **labels: str) -> float:
        """Return a number; of a histogram how many were counted. 0 if it is not there."""
        metric = KINDS[name]
        if metric.labels[:2] == TOPIC:
            labels = {"namespace": self.wire.namespace, "worker_topic": WORKER_TOPIC, **labels}
        wanted = f"{name}_count" if metric.kind == "histogram" else name
        samples = samples_of(self.http.get("/metrics").text)
        return sum(value for sample, told, value in samples if sample == wanted and labels.items() <= told.items())

    def session(self, credit: int = 0) -> WorkSession:
        """Open a session that stays open until the end of the test."""
        session = self.wire.session(credit=credit)
        self.sessions.append(session)
        return session

    def fail_one(self, **spec: object) -> None:
        """Have one attempt of an item fail; without a retry it becomes a dead letter."""
        self.wire.put("a", **spec)
        assert self.wire.fail(self.wire.claim_one())[0].reason == 0

    def finish_one(self, **spec: object) -> None:
        """Have one item complete."""
        self.wire.put("a", **spec)
        assert self.wire.complete(self.wire.claim_one())[0].reason == 0


def samples_of(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield name, labels and value of every line of an exposition."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, dict(sample.labels), sample.value


MOVES: dict[str, tuple[dict[str, str], Callable[[World], object]]] = {}
"""By metric: labels, and what makes it move."""


def moves(name: str, **labels: str) -> Callable[[_Move], _Move]:
    """Note what makes a metric move."""

    def noted(move: _Move) -> _Move:
        MOVES[name] = (labels, move)
        return move

    return noted


@moves("bloge_items", status="READY")
@moves("bloge_oldest_ready_age_seconds")
@moves("bloge_topics")
@moves("bloge_enqueued_total")
def enqueue(world: World) -> None:
    """A new item."""
    world.wire.put("a")


@moves("bloge_claims_total")
@moves("bloge_queue_wait_seconds")
@moves("bloge_store_call_seconds", script="claim")
def claim(world: World) -> None:
    """A claim."""
    world.wire.put("a")
    world.wire.claim_one()


@moves("bloge_reports_accepted_total", report="complete")
@moves("bloge_outcomes_total", outcome="COMPLETED")
@moves("bloge_run_seconds")
@moves("bloge_end_to_end_seconds")
def finish(world: World) -> None:
    """An item from beginning to end."""
    world.finish_one()


@moves("bloge_unacknowledged_outcomes")
@moves("bloge_oldest_unacknowledged_age_seconds")
def finish_unheard(world: World) -> None:
    """An outcome that nobody watches."""
    world.finish_one(reply_group="group")


@moves("bloge_reports_rejected_total", report="complete", reason="CONFLICTING_REPORT")
def contradict(world: World) -> None:
    """Two outputs of one lease."""
    world.wire.put("a")
    lease = world.wire.claim_one()
    world.wire.complete(lease)
    world.wire.complete(lease, output=b"other")


@moves("bloge_retries_total", cause="FAILED")
def fail(world: World) -> None:
    """A failure with budget left."""
    world.fail_one(retry_policy={"attempts": 1})


@moves("bloge_dead_letters_total", reason="BUDGET_SPENT")
@moves("bloge_oldest_dead_letter_age_seconds")
def bury(world: World) -> None:
    """A failure without."""
    world.fail_one()


@moves("bloge_dead_letters_beyond_limit")
def bury_too_many(world: World) -> None:
    """Two dead letters where one is the limit."""
    request = ops.ConfigureTopicRequest(namespace=world.wire.namespace, worker_topic=WORKER_TOPIC, dead_letter_limit=1)
    world.wire.ops.ConfigureTopic(request)
    world.wire.put("a", "b")
    world.wire.fail(*world.wire.claim(2))


@moves("bloge_dead_letter_actions_total", action="replayed")
def replay(world: World) -> None:
    """A person puts a dead letter back."""
    world.fail_one()
    criteria = ops.DeadLetterFilter(item_ids=["a"])
    request = ops.ReplayDeadLettersRequest(namespace=world.wire.namespace, worker_topic=WORKER_TOPIC, filter=criteria)
    assert world.wire.ops.ReplayDeadLetters(request).replayed_count == 1


@moves("bloge_late_outputs_total", reason="CANCELLED")
def finish_too_late(world: World) -> None:
    """An output of an item that was cancelled."""
    world.wire.put("a")
    lease = world.wire.claim_one()
    world.wire.cancel("a")
    assert world.wire.complete(lease)[0].late_output_kept


@moves("bloge_lease_losses_total")
def lose_a_lease(world: World) -> None:
    """A worker that goes silent."""
    world.wire.put("a")
    world.wire.claim_one(lease_duration=seconds(1))


@moves("bloge_receipts_missed_total")
@moves("bloge_offers_outstanding")
def offer_to_the_deaf(world: World) -> None:
    """An offer that nobody confirms."""
    world.session(credit=1)
    world.wire.put("a")


@moves("bloge_sessions")
@moves("bloge_topic_sessions")
@moves("bloge_credits")
def come(world: World) -> None:
    """A worker with room for three."""
    world.session(credit=3)


@moves("bloge_topic_paused")
def pause(world: World) -> None:
    """A person pauses a topic."""
    world.wire.put("a")
    world.wire.ops.PauseTopic(ops.PauseTopicRequest(namespace=world.wire.namespace, worker_topic=WORKER_TOPIC))


@moves("bloge_cancel_latency_seconds")
def cancel(world: World) -> None:
    """An item is cancelled that a worker runs."""
    session = world.session(credit=1)
    world.wire.put("a")
    session.leases(1)
    world.wire.cancel("a")
    assert session.expect("cancels").cancels[0].item_id == "a"


@moves("bloge_store_failures_total", script="describe")
def break_a_key(world: World) -> None:
    """Somebody else writes into the store."""
    world.wire.put("a")
    with Redis(unix_socket_path=str(world.data_dir / "store.sock")) as store:
        key = f"bloge:{{{world.wire.namespace}/t/{WORKER_TOPIC}}}:ready"
        store.delete(key)
        store.set(key, "no index")


@moves("bloge_sweep_lag_seconds")
@moves("bloge_event_loop_lag_seconds")
def wait(world: World) -> None:
    """Time passes."""


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Return a server whose offers lapse soon."""
    with running_process(tmp_path_factory.mktemp("metered"), *FLAGS) as server:
        yield server


@pytest.fixture
def world(metered: ServerProcess, namespace: str) -> Iterator[World]:
    """Return that server, and a namespace of the test's own."""
    with Wire(metered.address, namespace) as wire:
        world = World(metered, wire)
        yield world
        world.close()


@pytest.mark.parametrize("name", MOVES)
def test_a_metric_moves(world: World, name: str) -> None:
    """What it counts happens, and it says more than before."""
    labels, move = MOVES[name]
    before = world.value(name, **labels)
    move(world)
    until(lambda: world.value(name, **labels) > before, f"{name} moves")


def test_every_metric_of_the_catalogue_is_moved() -> None:
    """None is declared and never fed; the version is told from the start."""
    assert set(MOVES) | {"bloge_build_info"} == set(KINDS)


def test_every_exposed_metric_stands_in_the_catalogue(world: World) -> None:
    """But for those that tell of the process, which are the client library's."""
    exposed = {name for name, _, _ in samples_of(world.http.get("/metrics").text) if not name.startswith("process_")}
    suffixes = {"counter": {""}, "gauge": {""}, "histogram": {"_bucket", "_count", "_sum"}}
    known = {metric.name + suffix for metric in CATALOGUE for suffix in suffixes[metric.kind]}
    assert exposed <= known
    assert "bloge_build_info" in exposed


def test_an_acknowledged_outcome_counts_no_more(world: World) -> None:
    """Acknowledgements out of order too: the age is that of the oldest that is left."""
    world.wire.put("a", "b", "c", reply_group="group")
    for lease in world.wire.claim(3):
        world.wire.complete(lease)
    until(lambda: world.value("bloge_unacknowledged_outcomes") == 3, "three wait")
    with world.wire.watch("group") as watch:
        watch.send(world.wire.acknowledgement("b"))
        until(lambda: world.value("bloge_unacknowledged_outcomes") == 2, "two wait")
        assert world.value("bloge_oldest_unacknowledged_age_seconds") > 0
        watch.send(world.wire.acknowledgement("a", "c"))
        until(lambda: world.value("bloge_unacknowledged_outcomes") == 0, "none waits")
        assert world.value("bloge_oldest_unacknowledged_age_seconds") == 0


def test_a_start_delay_is_no_queue_wait(world: World) -> None:
    """It is counted from the end of the delay."""
    world.wire.put("a", start_delay=seconds(2))
    assert world.wire.claim(wait=20)
    bucket = {"namespace": world.wire.namespace, "le": "1.0"}
    within_a_second = [
        value
        for name, labels, value in samples_of(world.http.get("/metrics").text)
        if name == "bloge_queue_wait_seconds_bucket" and bucket.items() <= labels.items()
    ]
    assert within_a_second == [1]


def test_outcomes_that_are_written_here_are_not_read(world: World) -> None:
    """Their watcher gets them from the call that wrote them, and the echo of it leads to no read either.

    One read may be on its way: a topic is looked at again once the server hears of it.
    """
    with world.wire.watch("group") as watch:
        watch.next()
        reads = world.value("bloge_store_call_seconds", script="read_outbox")
        for number in range(10):
            world.wire.put(f"i{number}", reply_group="group")
            assert world.wire.complete(world.wire.claim_one())[0].reason == 0
            assert [outcome.item.item_id for outcome in watch.next().outcomes] == [f"i{number}"]
        assert world.value("bloge_store_call_seconds", script="read_outbox") <= reads + 1


def test_topics_beyond_the_limit_share_a_name(tmp_path: Path) -> None:
    """However many there are, `/metrics` stays small and no number is lost."""
    with running_process(tmp_path, "--metrics-topics", "2") as server, Wire(server.address, "ns") as wire:
        world = World(server, wire)
        for topic in ("t1", "t2", "t3", "t4"):
            wire.put("a", "b", worker_topic=topic)
        shared = {"namespace": OTHER, "worker_topic": OTHER}
        until(lambda: world.value("bloge_items", status="READY", **shared) == 4, "all are counted")
        assert world.value("bloge_enqueued_total", **shared) == 4
        assert world.value("bloge_items", status="READY", worker_topic="t1") == 2
        assert world.value("bloge_items", worker_topic="t3") == 0
        world.close()


def test_openmetrics_is_spoken_to_those_who_ask(world: World) -> None:
    """The content type says which form it is."""
    plain = world.http.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    asked = world.http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert asked.headers["content-type"].startswith("application/openmetrics-text")
    assert asked.text.endswith("# EOF\n")


def test_without_the_store_the_rest_is_told(tmp_path: Path) -> None:
    """A server that has lost its store still says what it did, and numbers that nobody can read are not there."""
    with running_process(tmp_path, "--store-timeout-seconds", "0.5") as server, Wire(server.address, "ns") as wire:
        world = World(server, wire)
        wire.put("a")
        until(lambda: world.value("bloge_items", status="READY") == 1, "it is counted")
        with server.store_paused():
            until(lambda: world.value("bloge_items", status="READY") == 0, "nobody can tell")
            assert world.value("bloge_enqueued_total") == 1
        world.close()


def test_pings_move_no_report(world: World) -> None:
    """Only what the store judged is a report."""
    session = world.session()
    session.send(frames.WorkRequest(ping=frames.Ping(ping_id=1)))
    session.expect("ping")
    assert world.value("bloge_reports_accepted_total") == 0
