"""Which handler gets an item, and what the worker does with those that none takes."""

import json

from unit.worker_sdk.live_worker import EventLog, aside, working
from unit.worker_sdk.scripted_server import ScriptedServer, lease_of

from bloge_worker import Worker


async def test_an_operator_without_handler_is_released_with_a_delay(
    worker: Worker, server: ScriptedServer, log: EventLog
) -> None:
    """Another worker may know it; the log says so once in a while, not for each item."""
    worker.handler("topic", operator="Known")(lambda: None)
    async with working(worker, server) as session:
        session.offer(lease_of("a", operator="Unknown"), lease_of("b", operator="Unknown"))
        reports = [await aside(session.expect_report, "releases") for _ in range(2)]
        assert [report.delay.seconds for report in reports] == [5, 5]
        assert not reports[0].draining
        assert "Unknown" in reports[0].reason
        session.accept(*reports)
    assert "Unknown" in log.next()
    assert log.texts.empty()


async def test_the_envelope_names_the_operator_if_the_item_does_not(worker: Worker, server: ScriptedServer) -> None:
    """A producer that fills only the envelope is understood."""
    worker.handler("topic", operator="A")(lambda: "a")
    worker.handler("topic", operator="B")(lambda: "b")
    payload = json.dumps({"operatorRef": "B", "workerTopic": "topic", "input": None}).encode()
    async with working(worker, server) as session:
        session.offer(lease_of(operator="", payload=payload))
        report = await aside(session.expect_report, "completes")
        assert report.output == b'"b"'
        session.accept(report)


async def test_an_output_over_the_servers_limit_fails_for_good(worker: Worker, server: ScriptedServer) -> None:
    """The limit is the one in Welcome."""
    worker.handler("topic")(lambda: "x" * 99)
    async with working(worker, server, max_payload_bytes=100) as session:
        session.offer(lease_of())
        report = await aside(session.expect_report, "fails")
        assert report.failure.type == "OutputTooLarge"
        session.accept(report)


async def test_a_worker_holds_no_more_than_its_handlers_limits_let_run(server: ScriptedServer) -> None:
    """With a limit on each handler, slots beyond their sum would only keep items from other workers."""
    worker = Worker(server.address, slots=50)
    worker.handler("topic", operator="A", concurrency=2)(lambda: None)
    worker.handler("topic", operator="B", concurrency=3)(lambda: None)
    async with worker:
        session = await aside(server.next_session)
        assert (await aside(session.welcome)).slots == 5
        assert (await aside(session.expect, "credits")).items_total == 5
        assert worker.stats().slots == 5


def test_one_handler_without_a_limit_gives_all_slots() -> None:
    """And limits never give more slots than were set."""
    worker = Worker(slots=4)
    worker.handler("topic", operator="A", concurrency=10)(lambda: None)
    assert worker.handlers.capacity(4) == 4
    assert worker.handlers.capacity(50) == 10
    worker.handler("topic", operator="B")(lambda: None)
    assert worker.handlers.capacity(50) == 50
