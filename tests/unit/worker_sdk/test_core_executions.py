"""What executions need of a worker: cancellations that leave the lease, leases from elsewhere, drains without cost."""

from typing import Any

from unit.worker_sdk.core_driver import ACCEPTED, CoreDriver, verdict
from unit.worker_sdk.scripted_server import lease_of

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker import Release
from bloge_worker._effects import Effects


def connected(**settings: Any) -> CoreDriver:
    """Return a core with a session."""
    driver = CoreDriver(**settings)
    driver.connect()
    return driver


def request(driver: CoreDriver, item_id: str = "a", fence: int = 1) -> Effects:
    """Have the server ask for a cancellation."""
    one = work_stream_pb2.CancelRequested(worker_topic="topic", item_id=item_id, fence=fence)
    return driver.receive(cancels=work_stream_pb2.Cancels(requests=[one]))


def asked(driver: CoreDriver) -> list[str]:
    """Return the items whose handlers the last turn asks."""
    return [held.key[1] for held in driver.effects.asks]


def next_beat(driver: CoreDriver) -> lease_pb2.HeartbeatReport:
    """Return the next heartbeat."""
    while not (beats := driver.reports("heartbeats")):
        driver.turn(0.25)
    beat: lease_pb2.HeartbeatReport = beats[0]
    return beat


def test_a_cancellation_that_is_asked_for_leaves_the_lease() -> None:
    """The handler is asked, not stopped, and heartbeats go on."""
    driver = connected()
    driver.offer(lease_of("a"))
    request(driver)
    assert (asked(driver), driver.cancels()) == (["a"], [])
    assert next_beat(driver).lease_token


def test_a_cancellation_of_another_claim_is_not_for_this_one() -> None:
    """An item that is not held, and an earlier claim of one that is."""
    driver = connected()
    driver.offer(lease_of("a", fence=5))
    request(driver, fence=4)
    assert asked(driver) == []
    request(driver, "b", 5)
    assert asked(driver) == []


def test_a_heartbeat_tells_too_in_case_the_frame_was_lost() -> None:
    """And the handler is asked once, however often it is said."""
    driver = connected()
    driver.offer(lease_of("a"))
    driver.judge(verdict(next_beat(driver), ACCEPTED, cancel_requested=True))
    assert asked(driver) == ["a"]
    request(driver)
    assert asked(driver) == []
    driver.judge(verdict(next_beat(driver), ACCEPTED, cancel_requested=True))
    assert asked(driver) == []


def test_an_adopted_lease_is_run_and_kept_alive() -> None:
    """As an offered one, with or without a session; it is named when the session comes."""
    driver = CoreDriver(slots=0)
    driver.adopt(lease_of("a", duration=9.0), driver.now)
    assert [held.key[1] for held in driver.turn().starts] == ["a"]
    assert driver.sent("hello")[0].held_lease_tokens == [lease_of("a").lease_token]
    driver.be_welcomed()
    assert next_beat(driver).lease_token == lease_of("a").lease_token


def test_a_worker_without_slots_is_offered_nothing() -> None:
    """Before, while and after it runs what it was given."""
    driver = connected(slots=0)
    granted = [grant.items_total for grant in driver.sent("credits")]
    driver.adopt(lease_of("a"), driver.now)
    (held,) = driver.turn().starts
    granted += [grant.items_total for grant in driver.sent("credits")]
    driver.complete(held)
    granted += [grant.items_total for grant in driver.sent("credits")]
    assert set(granted) <= {0}


def test_an_adopted_lease_counts_from_its_claim() -> None:
    """The call that claimed it took its time."""
    driver = connected()
    driver.adopt(lease_of("a", duration=9.0), driver.now - 5.5)
    driver.turn()
    assert driver.cancels() == []
    driver.turn(1.0)
    assert driver.cancels() == [("a", "LEASE_EXPIRED")]


def test_a_lease_that_is_adopted_too_late_is_handed_back() -> None:
    """The worker is leaving already: it costs the item nothing."""
    driver = connected()
    driver.offer(lease_of("b"))
    driver.core.drain(driver.now, 30.0)
    driver.adopt(lease_of("a"), driver.now)
    assert driver.turn().starts == []
    (release,) = driver.reports("releases")
    assert (release.lease_token, release.draining) == (lease_of("a").lease_token, True)


def test_what_a_handler_hands_back_during_a_drain_costs_nothing() -> None:
    """Before, it counts against the limit of releases."""
    driver = connected()
    first, second = driver.offer(lease_of("a"), lease_of("b"))
    driver.fail(first, Release(1.0, "not here"))
    assert [report.draining for report in driver.reports("releases")] == [False]
    driver.core.drain(driver.now, 30.0)
    driver.fail(second, Release(0.0, "leaving"))
    assert [report.draining for report in driver.reports("releases")] == [True]


def test_a_lease_that_is_lost_is_not_asked() -> None:
    """Its handler stops anyway."""
    driver = connected()
    driver.offer(lease_of("a"))
    beat = next_beat(driver)
    driver.judge(verdict(beat, error_reason_pb2.ERROR_REASON_SUPERSEDED))
    request(driver)
    assert asked(driver) == []
