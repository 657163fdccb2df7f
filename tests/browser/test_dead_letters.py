"""A person mends what broke, on a live system with a real worker."""

import re

from bloge.remote_workers.v1 import ops_service_pb2
from support.server import ServerProcess
from support.waiting import until
from support.wire import PATIENCE, Wire

from .browsing import Browser
from .conftest import bill
from .graph import Orchestrator, start
from .worker import TOPIC

MANY = 10_000


def test_a_dead_letter_is_found_read_mended_and_replayed(worker: None, browser: Browser, wire: Wire) -> None:
    """From the overview to the output, with nothing but the console."""
    wire.enqueue(bill("good", guests=3), bill("broken", guests=0))
    until(lambda: wire.topic(TOPIC).dead_letter_count == 1, "the bill without guests is a dead letter")
    browser.open(namespace=wire.namespace)
    browser.click("1 dead letter")
    browser.see("ZeroDivisionError", "#groups")
    browser.click("broken")
    browser.see("return total / guests")
    assert browser.problems() == []

    browser.click("Replay…")
    payload = browser.one("textarea")
    changed = payload.get_attribute("value").replace('"guests": 0', '"guests": 4')
    payload.clear()
    payload.send_keys(changed)
    browser.fill(reason="guests were not counted", actor="ada")
    browser.click("Show what changes")
    browser.see('-    "guests": 0', ".diff")
    browser.see('+    "guests": 4', ".diff")
    assert browser.problems() == []
    browser.one("button[value=replay]").click()
    browser.see("It was put back and starts over.")

    until(lambda: wire.get("broken", TOPIC).HasField("outcome"), "the worker has done it")
    browser.driver.refresh()
    browser.see("Outcome completed")
    browser.see('"each": 30.0')
    browser.click("Actions")
    browser.see("guests were not counted")
    assert browser.problems() == []


def test_chosen_dead_letters_are_mended_by_a_patch(worker: None, browser: Browser, wire: Wire) -> None:
    """What it changes is shown first; then the worker gets what it can do."""
    wire.enqueue(bill("one", guests=0), bill("two", guests=0))
    until(lambda: wire.topic(TOPIC).dead_letter_count == 2, "the bills without guests are dead letters")
    browser.open("/dead-letters", namespace=wire.namespace)
    browser.one("input[data-all=item]").click()
    browser.one("textarea[name=patch]").send_keys('{"input": {"guests": 2}}')
    browser.one("button[value=preview]").click()
    browser.see('-    "guests": 0', ".diff")
    browser.see('+    "guests": 2', ".diff")
    assert browser.problems() == []
    browser.fill(reason="guests were not counted")
    browser.one("button[value=replay]").click()
    browser.see("2 dead letters replayed.")

    def done() -> bool:
        return all(wire.get(each, TOPIC).HasField("outcome") for each in ("one", "two"))

    until(done, "the worker has done both")
    assert browser.problems() == []


def test_a_suspended_execution_is_brought_to_its_end(
    worker: None, browser: Browser, wire: Wire, server: ServerProcess
) -> None:
    """Its picture shows where it stands; the replay of its dead letter with another payload lets it go on."""
    with Orchestrator(server.address, wire.namespace):
        execution = start(server.address, wire.namespace, guests=0, key="table-9")
        until(lambda: _dead(wire) == 1, "the split is a dead letter")
        browser.open("/executions", namespace=wire.namespace)
        browser.click(execution)
        browser.see("completed", "g.node.completed")
        browser.see("suspended", "g.node.suspended.remote")
        assert browser.problems() == []

        browser.one("a[aria-label^='split']").click()
        browser.see("ZeroDivisionError")
        browser.click("Replay…")
        payload = browser.one("textarea")
        changed = payload.get_attribute("value").replace('"guests": 0', '"guests": 3')
        payload.clear()
        payload.send_keys(changed)
        browser.fill(reason="guests were not counted")
        browser.one("button[value=replay]").click()
        browser.see("It was put back")

        browser.click(execution)
        browser.wait(lambda: len(browser.all("g.node.completed")) == 4, "every node ends while the page is looked at")
        browser.see('"amount": 40.0')
        browser.see("graph completed")
        assert browser.problems() == []


def _dead(wire: Wire) -> int:
    listed = wire.ops.ListTopics(ops_service_pb2.ListTopicsRequest(namespace=wire.namespace), timeout=PATIENCE).topics
    return sum(topic.dead_letter_count for topic in listed if topic.worker_topic == TOPIC)


def test_ten_thousand_are_replayed_at_a_pace(browser: Browser, wire: Wire) -> None:
    """Counted first, watched while it goes on, and each of them once."""
    wire.put(*(f"i{index}" for index in range(MANY)))
    while leases := wire.claim(500):
        wire.fail(*leases)
    browser.open("/dead-letters", namespace=wire.namespace)
    browser.click("Replay or discard all that match")
    browser.see("10,000 would be replayed")
    assert browser.problems() == []
    browser.fill(rate="2500", reason="the model is back")
    browser.click("Replay all")
    browser.see("running", "#run")
    before = _done(browser)
    browser.wait(lambda: before < _done(browser) < MANY, "it goes on")
    browser.see("finished", "#run")
    assert "10,000 of 10,000 dead letters" in browser.text("#run")
    assert float(re.search(r"([\d.]+) s", browser.text("#run"))[1]) >= MANY / 2500 - 0.5  # type: ignore[index]  # it is there
    assert browser.problems() == []
    topic = wire.topic()
    assert (topic.ready_count, topic.retry_wait_count, topic.dead_letter_count) == (MANY, 0, 0)
    request = ops_service_pb2.ListActionsRequest(namespace=wire.namespace)
    (action,) = wire.ops.ListActions(request, timeout=PATIENCE).actions
    assert (action.verb, action.action.reason) == ("ReplayDeadLetters", "the model is back")


def _done(browser: Browser) -> int:
    """Return how far the page says that it has come."""
    return int(browser.driver.execute_script("return document.querySelector('#done').textContent").replace(",", ""))


def test_those_chosen_are_discarded(browser: Browser, wire: Wire) -> None:
    """All of a page at once, with one box."""
    wire.put("a", "b", "c")
    wire.fail(*wire.claim(3))
    browser.open("/dead-letters", namespace=wire.namespace)
    browser.one("[data-all]").click()
    browser.one("#chosen-reason").send_keys("nobody needs them")
    browser.one("button[value=discard]").click()
    browser.see("3 dead letters discarded.")
    browser.see("There are no dead letters.")
    assert browser.problems() == []
