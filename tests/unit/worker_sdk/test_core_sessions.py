"""Sessions: opening, silence, reconnecting, moving to another server, leaving."""

from math import inf

import pytest
from unit.worker_sdk.core_driver import CoreDriver
from unit.worker_sdk.scripted_server import lease_of

from bloge.remote_workers.v1 import lease_pb2, work_stream_pb2
from bloge_worker._backoff import LONGEST_DELAY
from bloge_worker._leases import HeldLease
from bloge_worker._reports import MAX_FRAME_BYTES
from bloge_worker._session import CONFIRM_AFTER, LEAST_PATIENCE, LEAVE_TIMEOUT, WELCOME_TIMEOUT


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
    assert list(hello.capabilities) == ["worker-drain"]


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


def test_the_worker_pings_a_server_that_is_quiet() -> None:
    """After one and a half of the intervals that the server sets, with a number of its own; a frame puts it off."""
    driver = CoreDriver()
    driver.connect(ping=2.0, silence=100.0, lease=300.0)
    driver.turn(2.9)
    assert driver.sent("ping") == []
    driver.receive(cancels=work_stream_pb2.Cancels())
    driver.turn(2.9)
    assert driver.sent("ping") == []
    driver.turn(0.2)
    assert [ping.ping_id for ping in driver.sent("ping")] == [1]
    driver.turn(3.0)
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


def test_a_stream_that_answers_nothing_is_replaced_while_its_leases_last() -> None:
    """A half-open connection takes heartbeats and says nothing: the next session keeps the leases."""
    driver = CoreDriver()
    driver.connect(lease=30.0, silence=30.0)
    (held,) = driver.offer(lease_of("a"))
    driver.turn(CONFIRM_AFTER)
    driver.receive(ping=work_stream_pb2.Ping(answer=1))
    asked_at = 0.0
    while not driver.effects.aborts:
        driver.now = driver.core.wakeup()
        driver.turn()
        asked_at = asked_at or (driver.now if driver.reports("heartbeats") or driver.sent("ping") else 0.0)
    assert driver.now == asked_at + 10.0
    assert held.lost is None
    driver.turn(0.1)
    assert list(driver.sent("hello")[0].held_lease_tokens) == [held.token]


def test_an_answer_of_any_kind_shows_that_a_stream_lives() -> None:
    """The patience begins anew with each question that is asked after it."""
    driver = CoreDriver()
    driver.connect(ping=4.0, silence=100.0, lease=9.0)
    for _ in range(20):
        driver.turn(6.0)
        assert driver.sent("ping")
        driver.turn(LEAST_PATIENCE - 1.5)
        driver.receive(cancels=work_stream_pb2.Cancels())
        assert driver.effects.aborts == []


def test_short_leases_do_not_make_a_worker_impatient() -> None:
    """A server that is merely busy is none the better for new sessions."""
    driver = CoreDriver()
    driver.connect(lease=1.0, ping=2.0)
    driver.turn(3.0)
    driver.turn(LEAST_PATIENCE - 0.1)
    assert driver.effects.aborts == []
    driver.turn(0.1)
    assert driver.effects.aborts == [1]


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


def test_the_log_tells_a_session_that_never_opened_from_one_that_broke(caplog: pytest.LogCaptureFixture) -> None:
    """Who starts a worker before its server should not look for a connection that was lost."""
    driver = CoreDriver(address="plane:7070")
    driver.turn()
    driver.break_stream("UNAVAILABLE")
    driver.connect()
    driver.break_stream("UNAVAILABLE")
    told = [record.getMessage().partition(" (")[0] for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["session with plane:7070 did not open", "session with plane:7070 ended"]


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


def test_a_worker_that_is_asked_to_leave_drains() -> None:
    """As for a signal: nothing new, what is held may end, no session elsewhere, and then it is over."""
    driver = CoreDriver()
    driver.connect()
    (held,) = driver.offer(lease_of("a"))
    driver.receive(draining=work_stream_pb2.Draining(worker=True, reason="an operator says so"))
    assert len(driver.sent("drain")) == 1
    assert driver.core.is_draining
    driver.turn(0.2)
    assert driver.effects.opens == []
    driver.receive(draining=work_stream_pb2.Draining(worker=True))
    assert driver.sent("drain") == []
    driver.accept(*_completes(driver, held))
    assert driver.core.is_over


def test_hello_names_no_more_leases_than_fit_its_frame() -> None:
    """The others are asked for by their next heartbeats."""
    driver = CoreDriver(slots=10_000)
    driver.connect()
    for start in range(0, 10_000, 500):
        driver.offer(*(lease_of(f"{'i' * 110}{index}", topic="t" * 110) for index in range(start, start + 500)))
    driver.holdings.leases.heartbeat_interval = inf
    for held in driver.holdings.leases:
        held.token += "x" * 200
    driver.break_stream()
    while not driver.turn().opens:
        driver.now = driver.core.wakeup()
    ((_, frame),) = driver.effects.frames
    named = len(frame.hello.held_lease_tokens)
    assert frame.ByteSize() <= MAX_FRAME_BYTES
    assert 5000 < named < 10_000


def _completes(driver: CoreDriver, held: HeldLease) -> list[lease_pb2.CompleteReport]:
    driver.complete(held)
    return driver.reports("completes")


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
    assert driver.core.wakeup() == driver.now + 15.0
    assert driver.holdings.wakeup(connected=True) == inf
