"""How leases end: refused heartbeats, cancels, one item twice, the end of an attempt."""

from typing import Any

import pytest
from unit.worker_sdk.core_driver import CoreDriver, verdict
from unit.worker_sdk.scripted_server import lease_of

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker._durations import duration_of

SUPERSEDED = error_reason_pb2.ERROR_REASON_SUPERSEDED


def connected(**settings: Any) -> CoreDriver:
    driver = CoreDriver(**settings)
    driver.connect()
    return driver


@pytest.mark.parametrize("reason", ["SUPERSEDED", "LEASE_EXPIRED", "CANCELLED", "DEADLINE_PASSED", "NOT_FOUND"])
def test_a_refused_heartbeat_stops_the_handler(reason: str) -> None:
    """Any reason that ends the lease stops its handler, and the handler learns the reason."""
    driver = connected()
    driver.offer(lease_of("a"))
    while not (beats := driver.reports("heartbeats")):
        driver.turn(0.25)
    driver.judge(verdict(beats[0], error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{reason}")))
    assert driver.cancels() == [("a", reason)]


def test_a_refused_heartbeat_of_a_handler_that_has_ended_stops_nothing() -> None:
    """The verdict crossed the end of the run."""
    driver = connected()
    (held,) = driver.offer(lease_of("a"))
    while not (beats := driver.reports("heartbeats")):
        driver.turn(0.25)
    driver.complete(held)
    driver.judge(verdict(beats[0], SUPERSEDED))
    assert driver.cancels() == []


def test_a_heartbeat_that_cannot_be_judged_is_sent_again_in_time() -> None:
    """While the store is away heartbeats go on, and nothing is stopped before the lease clock says so."""
    driver = connected()
    driver.offer(lease_of("a"))
    beats: list[lease_pb2.HeartbeatReport] = []
    while driver.now < 1000.0 + 20.0:
        driver.turn(0.25)
        for beat in driver.reports("heartbeats"):
            beats.append(beat)
            driver.judge(verdict(beat, error_reason_pb2.ERROR_REASON_STORE_UNAVAILABLE))
    assert len(beats) >= 2
    assert driver.cancels() == []


def test_a_cancel_stops_the_handler_of_that_claim_and_not_of_a_later_one() -> None:
    """A cancel of fence 5 ends claims up to 5; the handler of claim 6 goes on."""
    driver = connected()
    driver.offer(lease_of("a", fence=5), lease_of("b", fence=6))
    cancels = [
        work_stream_pb2.LeaseCancel(
            worker_topic="topic", item_id=item_id, fence=5, reason=error_reason_pb2.ERROR_REASON_DEADLINE_PASSED
        )
        for item_id in ("a", "b", "unknown")
    ]
    driver.receive(cancels=work_stream_pb2.Cancels(cancels=cancels))
    assert driver.cancels() == [("a", "DEADLINE_PASSED")]


def test_of_one_item_twice_the_newer_fence_wins() -> None:
    """The older handler is stopped, the newer claim starts."""
    driver = connected()
    driver.offer(lease_of("a", fence=1))
    started = driver.offer(lease_of("a", fence=2))
    assert [held.fence for held in started] == [2]
    assert driver.cancels() == [("a", "SUPERSEDED")]


def test_of_one_item_twice_the_older_fence_is_not_run() -> None:
    """A claim that arrives after a newer one is already lost."""
    driver = connected()
    driver.offer(lease_of("a", fence=2))
    assert driver.offer(lease_of("a", fence=1)) == []
    assert driver.cancels() == []


def offered(driver: CoreDriver, item_id: str) -> None:
    """Give the core an offer without taking a turn."""
    driver.sequence += 1
    offers = work_stream_pb2.Offers(offer_sequence=driver.sequence, leases=[lease_of(item_id)])
    driver.core.receive(driver.number, work_stream_pb2.WorkResponse(offers=offers), driver.now)


def test_an_item_that_is_cancelled_as_it_arrives_never_runs() -> None:
    """Offer and cancel may be taken in one turn: there is no handler yet to be stopped, so none may be started."""
    driver = connected(slots=1)
    offered(driver, "a")
    cancel = work_stream_pb2.LeaseCancel(worker_topic="topic", item_id="a", fence=1)
    driver.receive(cancels=work_stream_pb2.Cancels(cancels=[cancel]))
    assert driver.effects.starts == []
    assert len(driver.holdings.leases) == 0
    assert [grant.items_total for grant in driver.sent("credits")] == [2]


def test_an_item_that_arrives_as_the_worker_stops_is_handed_back() -> None:
    """In the same turn, unstarted and at no cost."""
    driver = connected()
    offered(driver, "a")
    driver.core.stop(driver.now)
    driver.turn()
    assert driver.effects.starts == []
    (release,) = driver.reports("releases")
    assert release.draining


def test_a_stopped_handler_occupies_its_slot_until_it_has_ended() -> None:
    """A thread that does not listen still runs, so its slot is not granted again."""
    driver = connected(slots=1)
    driver.offer(lease_of("a", fence=1))
    cancel = work_stream_pb2.LeaseCancel(worker_topic="topic", item_id="a", fence=1)
    driver.receive(cancels=work_stream_pb2.Cancels(cancels=[cancel]))
    assert driver.sent("credits") == []
    (held,) = driver.holdings.leases
    driver.finish(held, None)
    assert [grant.items_total for grant in driver.sent("credits")] == [2]


def test_a_short_rest_of_an_attempt_is_not_beaten_in_a_frenzy() -> None:
    """As the attempt timeout nears, verdicts grant ever less; heartbeats keep a least distance."""
    driver = connected()
    driver.offer(lease_of("a", duration=30.0))
    end = driver.now + 40.0
    beats = 0
    while not driver.cancels() and driver.now < end + 5:
        driver.turn(max(0.001, driver.core.wakeup() - driver.now))
        for beat in driver.reports("heartbeats"):
            beats += 1
            left = max(0.001, min(30.0, end - driver.now))
            driver.judge(verdict(beat, lease_duration=duration_of(left)))
        if driver.sent("ping"):
            driver.receive(ping=work_stream_pb2.Ping(answer=1))
    assert driver.now <= end
    assert beats < 40


def test_a_passed_suspend_deadline_stops_the_handler_without_a_word_of_the_server() -> None:
    """The worker counts the remaining time itself: cut off or not, it does not run for a node that has gone on."""
    driver = connected()
    driver.offer(lease_of("a", remaining=5.0))
    assert driver.turn(4.9).cancels == []
    driver.turn(0.1)
    assert driver.cancels() == [("a", "DEADLINE_PASSED")]


@pytest.mark.parametrize("attempt_timeout", [20.0, 40.0])
def test_a_handler_that_outlives_its_attempt_is_told_so(attempt_timeout: float) -> None:
    """Whether it is shorter than the lease or longer, the reason is the attempt's timeout and not the lease."""
    driver = connected()
    driver.offer(lease_of("a", duration=30.0, attempt_timeout=attempt_timeout))
    end = driver.now + attempt_timeout
    while not driver.cancels() and driver.now < end + 5:
        driver.turn(max(0.001, driver.core.wakeup() - driver.now))
        for beat in driver.reports("heartbeats"):
            left = max(0.001, min(30.0, end - driver.now))
            driver.judge(verdict(beat, lease_duration=duration_of(left)))
        if driver.sent("ping"):
            driver.receive(ping=work_stream_pb2.Ping(answer=1))
    assert driver.cancels() == [("a", "ATTEMPT_TIMEOUT")]
    assert end - 3.1 <= driver.now <= end
