"""Reports by unary calls while no stream comes back."""

from math import inf
from typing import Any

from unit.worker_sdk.core_driver import CoreDriver, verdict
from unit.worker_sdk.scripted_server import lease_of

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker._durations import duration_of
from bloge_worker._session import CONFIRM_AFTER
from bloge_worker._twin import AGAIN_AFTER, TRY_AFTER


def cut_off(*items: str, **settings: Any) -> tuple[CoreDriver, list[Any]]:
    """Return a driver whose worker holds items and has lost its session a moment ago; a next one hangs."""
    driver = CoreDriver(**settings)
    driver.connect()
    held = driver.offer(*(lease_of(item) for item in items)) if items else []
    driver.now += CONFIRM_AFTER
    driver.receive(ping=work_stream_pb2.Ping(answer=1))
    driver.break_stream()
    return driver, held


def unary(driver: CoreDriver, kind: str) -> list[Any]:
    """Return the reports of a kind that the last turn makes by unary calls."""
    return [report for batch in driver.effects.unary for report in getattr(batch, kind)]


def answer(driver: CoreDriver, *verdicts: lease_pb2.Verdict, wholly: bool = True) -> None:
    """End a round."""
    driver.core.answered(verdicts, driver.now, wholly=wholly)
    driver.turn()


def test_a_report_goes_by_a_unary_call_when_no_stream_comes_back() -> None:
    """Not at once: most streams are back sooner. Its verdict settles it."""
    driver, (held,) = cut_off("a")
    driver.complete(held)
    driver.turn(TRY_AFTER - 0.1)
    assert driver.effects.unary == []
    driver.turn(0.1)
    (report,) = unary(driver, "completes")
    assert report.lease_token == held.token
    answer(driver, verdict(report))
    assert driver.holdings.is_empty
    assert driver.holdings.reports.accepted == 1


def test_a_report_that_was_sent_on_the_lost_stream_is_made_again() -> None:
    """Nobody knows whether it arrived; the same report gets the same verdict."""
    driver = CoreDriver()
    driver.connect()
    (held,) = driver.offer(lease_of("a"))
    driver.complete(held)
    driver.break_stream()
    driver.turn(TRY_AFTER)
    assert [report.lease_token for report in unary(driver, "completes")] == [held.token]


def test_heartbeats_go_the_same_way() -> None:
    """A lease is kept alive, and counts from when the call was made."""
    driver, (held,) = cut_off("a")
    driver.turn(TRY_AFTER)
    assert driver.effects.unary == []
    while not driver.effects.unary:
        driver.turn(1.0)
    (beat,) = unary(driver, "heartbeats")
    sent_at = driver.now
    driver.now += 0.5
    answer(driver, lease_pb2.Verdict(report_id=beat.report_id))
    assert (held.sent_at, held.lost) == (sent_at, None)


def test_a_lease_in_doubt_is_asked_for_in_the_first_round() -> None:
    """Nobody knows whether its receipt arrived; if it did, or nobody has the item, the handler goes on."""
    driver = CoreDriver()
    driver.connect(offer_lease=5.0)
    (held,) = driver.offer(lease_of("a"))
    driver.break_stream()
    driver.turn(TRY_AFTER)
    (beat,) = unary(driver, "heartbeats")
    answer(driver, lease_pb2.Verdict(report_id=beat.report_id, lease_duration=duration_of(30.0)))
    driver.turn(10.0)
    assert held.lost is None


def test_progress_goes_the_same_way() -> None:
    """With the next round."""
    driver, (held,) = cut_off("a")
    driver.core.progressed(held, b"half")
    driver.turn(TRY_AFTER)
    assert [beat.progress for beat in unary(driver, "heartbeats")] == [b"half"]


def test_one_round_at_a_time_and_a_pause_between_them() -> None:
    """What ends meanwhile waits for the next round."""
    driver, (one, two) = cut_off("a", "b")
    driver.complete(one)
    driver.turn(TRY_AFTER)
    (report,) = unary(driver, "completes")
    driver.complete(two)
    driver.turn(60.0)
    assert driver.effects.unary == []
    answer(driver, verdict(report))
    assert driver.effects.unary == []
    driver.turn(AGAIN_AFTER)
    assert [each.lease_token for each in unary(driver, "completes")] == [two.token]


def test_a_round_that_failed_is_repeated() -> None:
    """With whatever it had no verdict on; progress that may not have arrived is told again."""
    driver, (one, two) = cut_off("a", "b")
    driver.complete(one)
    driver.core.progressed(two, b"half")
    driver.turn(TRY_AFTER)
    answer(driver, wholly=False)
    assert driver.effects.unary == []
    driver.core.progressed(two, b"more")
    driver.turn(AGAIN_AFTER)
    assert [report.lease_token for report in unary(driver, "completes")] == [one.token]
    assert [beat.progress for beat in unary(driver, "heartbeats")] == [b"more"]


def test_a_store_that_is_away_is_asked_again() -> None:
    """A verdict that judges nothing leaves the report where it is."""
    driver, (held,) = cut_off("a")
    driver.complete(held)
    driver.turn(TRY_AFTER)
    (report,) = unary(driver, "completes")
    answer(driver, verdict(report, error_reason_pb2.ERROR_REASON_STORE_UNAVAILABLE))
    driver.turn(AGAIN_AFTER)
    assert len(unary(driver, "completes")) == 1


def test_with_a_new_session_everything_goes_on_it() -> None:
    """A verdict of a round that is still out counts, and the stream's own on the same report changes nothing."""
    driver, (held,) = cut_off("a")
    driver.complete(held)
    driver.turn(TRY_AFTER)
    (report,) = unary(driver, "completes")
    driver.be_welcomed()
    (again,) = driver.reports("completes")
    assert again == report
    answer(driver, verdict(report))
    assert driver.effects.unary == []
    driver.accept(again)
    assert driver.holdings.reports.accepted == 1
    driver.turn(60.0)
    assert driver.effects.unary == []


def test_a_refused_heartbeat_stops_the_handler() -> None:
    """A verdict means the same on both ways."""
    driver, (held,) = cut_off("a")
    while not driver.effects.unary:
        driver.turn(1.0)
    (beat,) = unary(driver, "heartbeats")
    answer(driver, lease_pb2.Verdict(report_id=beat.report_id, reason=error_reason_pb2.ERROR_REASON_CANCELLED))
    assert held.lost == "CANCELLED"


def test_a_leaving_worker_hands_back_by_unary_calls() -> None:
    """It waits no longer for a session that may never come, and is over with the verdict."""
    driver, (held,) = cut_off("a")
    driver.core.stop(driver.now)
    driver.turn()
    (report,) = unary(driver, "releases")
    assert (report.lease_token, report.draining) == (held.token, True)
    answer(driver, verdict(report))
    assert driver.core.is_over


def test_without_anything_to_report_nothing_is_due() -> None:
    """A worker without leases only waits for its session."""
    driver, _ = cut_off()
    driver.turn(TRY_AFTER)
    assert driver.effects.unary == []
    assert driver.core._twin.wakeup(driver.holdings) == inf


def test_a_worker_that_was_never_welcomed_has_nothing_to_report() -> None:
    """There is no session to miss yet."""
    driver = CoreDriver()
    driver.turn()
    driver.break_stream()
    driver.turn(TRY_AFTER)
    assert driver.effects.unary == []


def test_answers_are_a_sign_that_the_server_is_there() -> None:
    """Health asks whether the server was heard, on whatever way."""
    driver, (held,) = cut_off("a")
    driver.complete(held)
    driver.turn(TRY_AFTER)
    driver.now += 100.0
    assert not driver.core.is_healthy(driver.now)
    answer(driver, *(verdict(report) for report in unary(driver, "completes")))
    assert driver.core.is_healthy(driver.now)
