"""Real workers in processes of their own, on a real server."""

import signal
import subprocess

from bloge.remote_workers.v1 import work_item_pb2 as pb
from support.waiting import until

from .conftest import StartWorker
from .control import Enqueuer


def _line(worker: "subprocess.Popen[str]") -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def test_an_item_runs_and_its_output_comes_back(enqueuer: Enqueuer, start_worker: StartWorker) -> None:
    """The whole path: enqueue, claim on the stream, handler, outcome."""
    start_worker()
    enqueuer.enqueue("a", [1, 2], operator="Echo")
    assert enqueuer.outcome("a").output == b'{"echo":[1,2]}'


def test_a_killed_worker_loses_nothing(enqueuer: Enqueuer, start_worker: StartWorker) -> None:
    """After SIGKILL another worker gets the item; the history shows both, and no retry was spent."""
    first = start_worker()
    enqueuer.enqueue("a", 2.0, operator="BlockLoop")
    assert _line(first) == "blocking"
    until(lambda: enqueuer.item("a").received, "the lease is confirmed")
    first.kill()
    start_worker()
    assert enqueuer.outcome("a").kind == pb.OUTCOME_KIND_COMPLETED
    attempts = enqueuer.item("a").attempts
    assert [attempt.end for attempt in attempts] == [pb.ATTEMPT_END_LEASE_LOST, pb.ATTEMPT_END_COMPLETED]
    assert attempts[0].worker_id != attempts[1].worker_id
    assert [attempt.attempt for attempt in attempts] == [1, 1]


def test_sigterm_hands_back_what_cannot_finish(enqueuer: Enqueuer, start_worker: StartWorker) -> None:
    """A drained worker releases what outlasts its grace, at no cost, and exits cleanly."""
    worker = start_worker()
    enqueuer.enqueue("a", None, operator="UntilCancelled")
    assert _line(worker) == "running a"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    item = enqueuer.item("a")
    assert item.status == pb.WORK_ITEM_STATUS_READY
    assert (item.retry_count, item.lease_loss_count) == (0, 0)
    assert item.attempts[0].end == pb.ATTEMPT_END_RELEASED
