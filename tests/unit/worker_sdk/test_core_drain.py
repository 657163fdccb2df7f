"""Draining: no new work, held work finishes, the rest is handed back."""

from unit.worker_sdk.core_driver import CoreDriver
from unit.worker_sdk.scripted_server import lease_of

from bloge.remote_workers.v1 import lease_pb2, work_stream_pb2
from bloge_worker._durations import duration_of
from bloge_worker._leases import HeldLease
from bloge_worker._session import CONFIRM_AFTER


def draining(*items: str, grace: float = 30.0) -> tuple[CoreDriver, list[HeldLease]]:
    driver = CoreDriver()
    driver.connect()
    held = driver.offer(*(lease_of(item) for item in items))
    driver.core.drain(driver.now, grace)
    driver.turn()
    return driver, held


def test_an_idle_worker_ends_at_once() -> None:
    """With nothing held and nothing to say the drain is over as it begins, and the stream is closed in order."""
    driver, _ = draining()
    assert driver.core.is_over
    assert driver.effects.closes == [1]


def test_a_worker_that_never_connected_ends_at_once() -> None:
    """A drain does not wait for a server that is not there."""
    driver = CoreDriver()
    driver.turn()
    driver.break_stream()
    driver.core.drain(driver.now, 30.0)
    driver.turn()
    assert driver.core.is_over


def test_the_server_is_told_and_gets_no_credits() -> None:
    """Drain goes out; slots that become free are not granted; what has not started is handed back by the shell."""
    driver, held = draining("a", "b")
    assert len(driver.sent("drain")) == 1
    assert driver.effects.hand_back
    driver.complete(held[0])
    assert driver.sent("credits") == []
    assert not driver.core.is_over


def test_a_second_drain_changes_nothing() -> None:
    """Draining is idempotent: no second frame, no longer grace."""
    driver, _ = draining("a", grace=10.0)
    wakeup = driver.core.wakeup()
    driver.core.drain(driver.now, 500.0)
    driver.turn()
    assert driver.sent("drain") == []
    assert driver.core.wakeup() == wakeup


def test_held_work_finishes_and_its_verdict_is_awaited() -> None:
    """The worker ends when the last report has its verdict, not before."""
    driver, (held,) = draining("a")
    driver.complete(held)
    assert not driver.core.is_over
    driver.accept(*driver.reports("completes"))
    assert driver.core.is_over


def test_offers_that_crossed_the_drain_go_back_at_once() -> None:
    """What was on its way is received and released, at no cost to the item."""
    driver, _ = draining("a")
    assert driver.offer(lease_of("late")) == []
    assert len(driver.sent("receipt")) == 1
    (release,) = driver.reports("releases")
    assert release.draining
    assert release.lease_token == lease_of("late").lease_token


def test_after_the_grace_handlers_are_stopped_and_their_items_handed_back_once_they_end() -> None:
    """The release waits for the handler's end, so that no two run the item."""
    driver, (held,) = draining("a", grace=10.0)
    driver.turn(10.0)
    assert driver.cancels() == [("a", "DRAINING")]
    assert driver.reports("releases") == []
    driver.finish(held, None)
    (release,) = driver.reports("releases")
    assert release.draining
    driver.accept(release)
    assert driver.core.is_over


def test_a_lease_is_kept_alive_until_its_item_goes_back() -> None:
    """A short lease must not run out while the handler unwinds: a drain costs nothing."""
    driver = CoreDriver()
    driver.connect(lease=1.0)
    (held,) = driver.offer(lease_of("a", duration=1.0))
    driver.core.drain(driver.now, 0.5)
    beats = 0
    releases: list[lease_pb2.ReleaseReport] = []
    while not releases:
        driver.turn(0.1)
        releases = driver.reports("releases")
        for beat in driver.reports("heartbeats"):
            beats += 1
            driver.judge(lease_pb2.Verdict(report_id=beat.report_id, lease_duration=duration_of(1.0)))
        assert driver.now < held.sent_at + held.duration
    assert releases[0].draining
    assert beats > 3


def test_a_reconnect_while_handlers_unwind_keeps_their_leases() -> None:
    """They are named, for they are still held."""
    driver, (held,) = draining("a", grace=10.0)
    driver.now += CONFIRM_AFTER
    driver.receive(ping=work_stream_pb2.Ping(answer=1))
    driver.turn(10.0)
    driver.break_stream()
    while not driver.turn().opens:
        driver.now = driver.core.wakeup()
    assert list(driver.sent("hello")[0].held_lease_tokens) == [held.token]


def test_a_handler_that_fails_because_it_was_stopped_costs_no_retry() -> None:
    """A technical failure after the stop becomes a release."""
    driver, (held,) = draining("a", grace=10.0)
    driver.turn(10.0)
    driver.fail(held, RuntimeError("interrupted"))
    assert driver.reports("fails") == []
    assert len(driver.reports("releases")) == 1


def test_a_handler_that_still_returns_after_the_stop_completes_its_item() -> None:
    """The lease is still held, so the work counts."""
    driver, (held,) = draining("a", grace=10.0)
    driver.turn(10.0)
    driver.complete(held)
    assert len(driver.reports("completes")) == 1


def test_a_handler_that_cannot_be_stopped_is_left_behind() -> None:
    """Threads that do not listen: their items are handed back after a moment, and what they return later is dropped."""
    driver, (held,) = draining("a", grace=10.0)
    driver.turn(10.0)
    driver.turn(2.0)
    (release,) = driver.reports("releases")
    driver.complete(held)
    assert driver.reports("completes") == []
    driver.accept(release)
    assert driver.core.is_over


def test_a_drain_ends_even_if_no_verdict_ever_comes() -> None:
    """The wait for verdicts is bounded: grace, a moment to unwind, a moment to flush."""
    driver, (held,) = draining("a", grace=10.0)
    driver.complete(held)
    turns = 0
    while not driver.core.is_over:
        driver.turn(max(0.0, driver.core.wakeup() - driver.now))
        turns += 1
        assert turns < 100
    assert driver.now <= 1000.0 + 10.0 + 2.0 + 5.0


def test_a_drain_reconnects_to_deliver_its_reports() -> None:
    """If the stream breaks while draining, the next session is told of the drain and gets the reports, no credits."""
    driver, (held,) = draining("a")
    driver.break_stream()
    driver.complete(held)
    driver.connect()
    assert len(driver.sent("drain")) == 1
    assert len(driver.reports("completes")) == 1
    assert driver.sent("credits") == []


def test_a_stop_hands_everything_back_now() -> None:
    """A second signal does not wait for handlers: all are stopped, all items released, within a moment the end."""
    driver, _ = draining("a", "b")
    driver.core.stop(driver.now)
    driver.turn()
    assert driver.cancels() == [("a", "DRAINING"), ("b", "DRAINING")]
    assert len(driver.reports("releases")) == 2
    driver.turn(1.0)
    assert driver.core.is_over


def test_nothing_is_opened_after_the_end() -> None:
    """The end of the last stream is no reason to reconnect once the worker is over."""
    driver, _ = draining()
    driver.break_stream("OK")
    driver.turn(60.0)
    assert driver.effects.opens == []


def test_reports_of_a_worker_that_leaves_are_counted_as_usual() -> None:
    """A drain changes nothing about verdicts."""
    driver, (held,) = draining("a")
    driver.complete(held)
    driver.judge(lease_pb2.Verdict(report_id=driver.reports("completes")[0].report_id))
    assert driver.holdings.reports.accepted == 1


def test_a_worker_that_is_asked_to_leave_drains() -> None:
    """An operator's wish is a drain with the grace of the worker's settings, and no reason to go elsewhere."""
    driver = CoreDriver(drain_grace=7.0)
    driver.connect()
    driver.offer(lease_of("a"))
    driver.receive(draining=work_stream_pb2.Draining(worker=True, reason="deploy"))
    assert len(driver.sent("drain")) == 1
    assert driver.core.is_draining
    driver.receive(draining=work_stream_pb2.Draining(worker=True))
    assert (driver.sent("drain"), driver.effects.opens) == ([], [])
    driver.turn(7.0)
    assert driver.cancels() == [("a", "DRAINING")]


def test_a_worker_says_that_it_can_be_asked_to_leave() -> None:
    """A server tells nobody who would take it for its own leaving."""
    driver = CoreDriver()
    driver.turn()
    (hello,) = driver.sent("hello")
    assert list(hello.capabilities) == ["worker-drain"]
