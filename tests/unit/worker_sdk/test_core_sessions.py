"""Sessions: opening, silence, reconnecting, moving to another server, leaving."""

from math import inf

import pytest
from unit.worker_sdk.core_driver import CoreDriver
from unit.worker_sdk.scripted_server import lease_of

from bloge.remote_workers.v1 import work_stream_pb2
from bloge_worker._backoff import LONGEST_DELAY
from bloge_worker._session import LEAVE_TIMEOUT, WELCOME_TIMEOUT


def test_the_first_frame_is_hello_with_all_that_the_server_asks_for() -> None:
    """Hello names namespace, worker, topics, slots and the lease wanted; nothing else goes before Welcome."""
    driver = CoreDriver(namespace="prod", slots=5, lease_duration=12.5)
    effects = driver.turn()
    assert effects.opens == [1]
    assert len(effects.frames) == 1
    (hello,) = driver.sent("hello")
    assert (hello.namespace, hello.worker_id, hello.slots) == ("prod", "worker-1", 5)
    assert list(hello.worker_topics) == ["topic"]
    assert hello.lease_duration.ToMilliseconds() == 12_500
    assert hello.sdk.startswith("bloge-python/")


def test_a_welcome_opens_the_window_for_all_slots() -> None:
    """The first credits are as many as there are slots, with the byte limit beside them."""
    driver = CoreDriver(slots=8, max_held_bytes=1000)
    driver.connect()
    assert driver.sent("credits") == [work_stream_pb2.Credits(items_total=8, bytes_total=1000)]
    assert driver.core.is_connected


def test_a_ping_is_answered_and_an_answer_is_not() -> None:
    """Questions get their number back at once; answers end the exchange."""
    driver = CoreDriver()
    driver.connect()
    driver.receive(ping=work_stream_pb2.Ping(ping_id=41))
    assert driver.sent("ping") == [work_stream_pb2.Ping(answer=41)]
    driver.receive(ping=work_stream_pb2.Ping(answer=1))
    assert driver.sent("ping") == []


def test_the_worker_pings_at_the_interval_that_the_server_sets() -> None:
    """A question goes out each ping interval, with a number of its own."""
    driver = CoreDriver()
    driver.connect(ping=4.0)
    driver.turn(3.9)
    assert driver.sent("ping") == []
    driver.turn(0.2)
    assert [ping.ping_id for ping in driver.sent("ping")] == [1]
    driver.turn(4.0)
    assert [ping.ping_id for ping in driver.sent("ping")] == [2]


def test_silence_past_the_limit_ends_the_session_and_opens_another() -> None:
    """A deaf server is left: the stream is cut, health goes red, and the next session follows within the backoff."""
    driver = CoreDriver()
    driver.connect(silence=9.0)
    assert driver.core.is_healthy(driver.now + 8.9)
    assert not driver.core.is_healthy(driver.now + 9.0)
    driver.turn(8.9)
    assert driver.effects.aborts == []
    driver.turn(0.2)
    assert driver.effects.aborts == [1]
    assert not driver.core.is_connected
    driver.turn(0.1)
    assert driver.effects.opens == [2]


def test_a_server_that_never_welcomes_is_left() -> None:
    """A stream without Welcome ends after its timeout."""
    driver = CoreDriver()
    driver.turn()
    driver.turn(WELCOME_TIMEOUT)
    assert driver.effects.aborts == [1]


@pytest.mark.parametrize("code", ["OK", "CANCELLED", "UNAVAILABLE", "INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED"])
def test_every_remote_end_reconnects(code: str) -> None:
    """Only a local stop ends the worker: any way in which the stream ends leads to the next session."""
    driver = CoreDriver()
    driver.connect()
    driver.break_stream(code)
    assert not driver.core.is_over
    driver.connect()
    assert driver.number == 2
    assert driver.core.sessions_opened == 2


def test_delays_grow_to_the_longest_and_start_again_after_a_healthy_session() -> None:
    """Full jitter stays below a ceiling that doubles up to 30 s; a session of some seconds resets it."""
    driver = CoreDriver()
    delays = []
    for _ in range(60):
        driver.turn()
        driver.break_stream()
        delays.append(driver.core.wakeup() - driver.now)
        driver.now = driver.core.wakeup()
    assert all(delay <= min(LONGEST_DELAY, 0.1 * 2**failures) for failures, delay in enumerate(delays))
    assert max(delays[20:]) > LONGEST_DELAY / 2
    driver.connect()
    driver.turn(6.0)
    driver.break_stream()
    assert driver.core.wakeup() - driver.now <= 0.1


def test_the_server_may_ask_for_a_longer_delay() -> None:
    """A refusal's retry delay is the least that the worker waits."""
    driver = CoreDriver()
    driver.connect()
    driver.break_stream(retry_delay=7.0)
    assert driver.core.wakeup() == driver.now + 7.0


def test_a_refusal_of_the_first_session_ends_the_worker() -> None:
    """A worker that was never welcomed and is refused for good stops, with the refusal at hand."""
    driver = CoreDriver()
    driver.turn()
    driver.break_stream("PERMISSION_DENIED", refused=True)
    assert driver.core.is_over
    assert driver.core.refusal is not None
    assert driver.core.refusal.code == "PERMISSION_DENIED"


def test_a_refusal_after_a_welcome_is_tried_again() -> None:
    """A worker that has worked before goes on trying: its permission may come back."""
    driver = CoreDriver()
    driver.connect()
    driver.break_stream("PERMISSION_DENIED", refused=True)
    assert not driver.core.is_over
    assert driver.core.wakeup() <= driver.now + LONGEST_DELAY
    driver.connect()
    assert driver.core.is_connected


def test_a_leaving_server_keeps_the_session_until_the_next_one_is_open() -> None:
    """After Draining the worker reports on the old session, takes no credits there, and opens another one."""
    driver = CoreDriver()
    driver.connect()
    (held,) = driver.offer(lease_of("a"))
    driver.receive(draining=work_stream_pb2.Draining(reason="deploy"))
    assert driver.core.is_connected
    driver.turn(0.1)
    assert driver.effects.opens == [2]
    assert list(driver.sent("hello")[0].held_lease_tokens) == [held.token]
    driver.complete(held)
    assert [number for number, _ in driver.effects.frames] == [1]
    assert driver.sent("credits") == []
    driver.be_welcomed(held_leases=[])
    assert driver.effects.closes == [1]
    assert {number for number, _ in driver.effects.frames} == {2}
    assert [report.lease_token for report in driver.reports("completes")] == [held.token]


def test_a_replaced_session_is_cut_if_it_does_not_end_by_itself() -> None:
    """The old stream gets some seconds to end in good order, and its end starts nothing."""
    driver = CoreDriver()
    driver.connect()
    driver.receive(draining=work_stream_pb2.Draining())
    driver.turn(0.1)
    driver.be_welcomed()
    driver.turn(LEAVE_TIMEOUT)
    assert driver.effects.aborts == [1]
    driver.turn(1.0)
    assert driver.effects.opens == []
    assert driver.core.is_connected


def test_offers_on_a_replaced_session_are_not_received() -> None:
    """What a replaced session still offers gets no receipt, so it goes back by itself."""
    driver = CoreDriver()
    driver.connect()
    driver.receive(draining=work_stream_pb2.Draining())
    driver.turn(0.1)
    driver.be_welcomed()
    driver.receive(number=1, offers=work_stream_pb2.Offers(offer_sequence=1, leases=[lease_of()]))
    assert driver.effects.starts == []
    assert driver.sent("receipt") == []


def test_frames_of_an_ended_session_are_ignored() -> None:
    """A frame that was still on its way when the session ended changes nothing."""
    driver = CoreDriver()
    driver.connect()
    driver.break_stream()
    driver.receive(number=1, offers=work_stream_pb2.Offers(offer_sequence=1, leases=[lease_of()]))
    assert driver.effects.starts == []


def test_a_second_welcome_changes_nothing() -> None:
    """A repeated Welcome neither counts as a session nor opens the window again."""
    driver = CoreDriver()
    driver.connect()
    driver.be_welcomed()
    assert driver.core.sessions_opened == 1
    assert driver.sent("credits") == []


def test_an_unknown_frame_is_a_sign_of_life_only() -> None:
    """A frame of a later release is passed over."""
    driver = CoreDriver()
    driver.connect(silence=9.0)
    driver.turn(8.0)
    driver.receive()
    assert driver.effects.frames == []
    assert driver.core.is_healthy(driver.now + 8.0)


def test_an_idle_connected_worker_wakes_only_to_ping() -> None:
    """Nothing is due between pings, so an idle worker costs nothing."""
    driver = CoreDriver()
    driver.connect(ping=10.0)
    assert driver.core.wakeup() == driver.now + 10.0
    assert driver.holdings.wakeup(connected=True) == inf
