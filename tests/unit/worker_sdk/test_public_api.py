"""What users import, and what a worker's settings allow."""

import dataclasses
import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import bloge_worker
from bloge_worker import ConfigError, HandlerError, Security, Worker, WorkerConfig, WorkerStats, testing
from bloge_worker.config import new_worker_id
from bloge_worker.metrics import METRICS


def test_the_public_names_are_these() -> None:
    """A name that comes or goes is a decision, not an accident."""
    assert bloge_worker.__all__ == [
        "BusinessError",
        "ConfigError",
        "Executor",
        "GraphCancelled",
        "HandlerError",
        "HandlerStats",
        "ProgressTooLarge",
        "Reject",
        "Release",
        "RetryLater",
        "Security",
        "WorkContext",
        "Worker",
        "WorkerClosed",
        "WorkerConfig",
        "WorkerError",
        "WorkerRefused",
        "WorkerStats",
    ]
    assert all(hasattr(bloge_worker, name) for name in bloge_worker.__all__)


def test_the_front_door_takes_these_arguments() -> None:
    """Names and defaults of constructor and decorator are part of the contract with users."""
    assert str(inspect.signature(Worker.handler)).startswith(
        "(self, worker_topic: str, *, operator: str | None = None,"
    )
    names = list(inspect.signature(Worker).parameters)
    expected = "address slots namespace worker_id lease_duration drain_grace security health_port health_host clock"
    assert names == expected.split()


def test_the_names_for_tests_are_these() -> None:
    """The fake control plane is a part of the contract with users, its methods and settings included."""
    assert testing.__all__ == [
        "ContextOverrides",
        "FakeControlPlane",
        "HandlerOutcome",
        "ItemOutcome",
        "Status",
        "run_handler",
        "run_handler_async",
    ]
    methods = "advance ask_to_leave cancel disconnect enqueue item outcome reaches wait_outcome wait_status"
    assert " ".join(public_names(testing.FakeControlPlane)) == methods
    settings = (
        "address lease_duration offer_lease ping_interval silence_limit max_payload_bytes backlog_limit clock random"
    )
    assert " ".join(inspect.signature(testing.FakeControlPlane).parameters) == settings


def test_what_a_handler_and_a_program_can_ask_for_are_these() -> None:
    """The context of a run, a worker, and its numbers."""
    assert " ".join(public_names(bloge_worker.WorkContext)) == (
        "attempt cancel_reason cancel_requested cancelled claim_count execution_context fence input item_id "
        "last_progress lease log namespace operator_ref progress raise_if_cancelled remaining trace_context "
        "until_cancel_requested until_cancelled wait_cancelled worker_topic"
    )
    assert " ".join(public_names(Worker)) == (
        "adopt config connected drain handler handlers health_port healthy reconfigure run run_forever stats "
        "worker_topics"
    )
    assert " ".join(each.name for each in dataclasses.fields(WorkerStats)) == (
        "slots held stopping done failed unknown_operators accepted rejected unverdicted sessions connected draining "
        "heard_seconds_ago loop_lag verdicts handlers"
    )


def test_the_metrics_are_these() -> None:
    """Dashboards and alerts name them."""
    assert " ".join(sorted(name.removeprefix("bloge_worker_") for name in METRICS)) == (
        "connected draining event_loop_lag_seconds handler_ends_total held_leases reconnects_total reports_total "
        "run_seconds sessions_total silence_seconds slots stopping_handlers unknown_operators_total "
        "unverdicted_reports"
    )


def public_names(thing: type) -> list[str]:
    """Return the names of a class that users may use, sorted."""
    return sorted(name for name in vars(thing) if not name.startswith("_"))


def test_every_public_thing_says_what_it_is() -> None:
    """Users read docstrings."""
    for name in bloge_worker.__all__:
        thing = getattr(bloge_worker, name)
        assert name == "Executor" or inspect.getdoc(thing)


def test_durations_are_seconds_or_timedeltas() -> None:
    """Both mean the same."""
    worker = Worker(lease_duration=timedelta(minutes=1), drain_grace=timedelta(seconds=5))
    assert (worker.config.lease_duration, worker.config.drain_grace) == (60.0, 5.0)
    assert Worker(lease_duration=60, drain_grace=5).config.lease_duration == 60.0


def test_the_environment_names_the_server_that_the_program_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argument, then BLOGE_ADDRESS, then the default."""
    assert Worker().config.address == "127.0.0.1:7070"
    monkeypatch.setenv("BLOGE_ADDRESS", "host:1")
    assert Worker().config.address == "host:1"
    assert Worker("other:2").config.address == "other:2"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"slots": -1}, "slots: -1"),
        ({"slots": 10_001}, "slots: 10001"),
        ({"namespace": "no spaces"}, "namespace: 'no spaces'"),
        ({"worker_id": "x" * 129}, "worker_id"),
        ({"lease_duration": 0.5}, "lease_duration: 0.5"),
        ({"lease_duration": 3601}, "lease_duration: 3601"),
        ({"drain_grace": 0}, "drain_grace: 0"),
        ({"address": " "}, "address"),
        ({"address": "control-plane"}, "address"),
        ({"address": "http://control-plane:7070"}, "address"),
        ({"health_port": 65_536}, "health_port: 65536"),
        ({"security": Security(token="a", token_file=Path("b"))}, "not both"),
        ({"security": Security(key_file=Path("key.pem"))}, "come together"),
        ({"security": Security(plaintext=True, ca_file=Path("ca.pem"))}, "with TLS only"),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value(settings: dict[str, Any], problem: str) -> None:
    """The error says which, what it is, and what is allowed."""
    with pytest.raises(ConfigError, match=problem):
        Worker(**settings)


def test_all_problems_are_reported_at_once() -> None:
    """Nobody mends settings one error at a time."""
    with pytest.raises(ConfigError, match=r"worker_id.*slots.*max_held_bytes"):
        WorkerConfig(worker_id="", slots=-1, max_held_bytes=0).check()


def test_reconfigured_settings_are_checked() -> None:
    """And stay as they were if they are wrong."""
    worker = Worker(slots=3)
    with pytest.raises(ConfigError):
        worker.reconfigure(slots=-1)
    worker.reconfigure(address="x:1")
    assert (worker.config.slots, worker.config.address) == (3, "x:1")


def test_worker_ids_are_unique_and_well_formed() -> None:
    """Two lives never share one, and every host name gives a valid one."""
    first, second = new_worker_id(), new_worker_id()
    assert first != second
    WorkerConfig(worker_id=first).check()


async def test_a_worker_without_handlers_does_not_start() -> None:
    """It would never get an item."""
    with pytest.raises(HandlerError, match="no handler"):
        await Worker().run()


def test_an_idle_worker_has_a_view_too() -> None:
    """Before it runs it is not healthy, has counted nothing, and its repr says so."""
    worker = Worker("host:1", worker_id="w-1")
    assert not worker.healthy
    assert worker.stats() == WorkerStats()
    assert repr(worker) == "<Worker w-1 at host:1 topics=[] idle>"


def test_a_token_is_never_shown() -> None:
    """Settings are logged; secrets are not."""
    assert "secret" not in repr(Worker(security=Security(token="secret")).config)
