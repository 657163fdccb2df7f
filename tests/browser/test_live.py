"""What moves: the journal, deadlines, pages that refresh."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from bloge.remote_workers.v1 import work_item_pb2
from support.server import running_process
from support.wire import TOPIC, Wire, seconds

from .browsing import Browser


def rows(browser: Browser) -> list[str]:
    """Return what the journal shows, oldest first, as kind and item."""
    read = """return [...document.querySelectorAll('#journal tbody tr')].map(
        row => row.cells[1].textContent + ' ' + row.cells[3].textContent).reverse()"""
    found: list[str] = browser.driver.execute_script(read)
    return found


def test_the_journal_is_live_and_can_be_paused(browser: Browser, wire: Wire) -> None:
    """What comes meanwhile is kept."""
    wire.put("a")
    browser.open("/journal", namespace=wire.namespace)
    browser.wait(lambda: rows(browser) == ["enqueued a"], "what happened before")
    wire.complete(wire.claim_one())
    told = ["enqueued a", "claimed a", "outcome completed a"]
    browser.wait(lambda: rows(browser) == told, "what happens")
    browser.click("Pause")
    wire.put("b")
    browser.see("paused, 1 new", "#state")
    assert rows(browser) == told
    browser.click("Go on")
    assert rows(browser) == [*told, "enqueued b"]
    assert browser.problems() == []


def test_the_journal_survives_a_restart_of_the_server(driver: Chrome, tmp_path: Path) -> None:
    """It goes on where it stopped: nothing twice, nothing left out, also of what happened before it was back."""
    data = tmp_path / "data"
    with running_process(data) as first:
        ports = ("--listen", first.address, "--http-listen", first.http_address)
        browser = Browser(driver, first.http_address)
        with Wire(first.address, "default") as wire:
            wire.put("a")
            browser.open("/journal")
            browser.wait(lambda: rows(browser) == ["enqueued a"], "what happened before")
            wire.put("b")
            browser.wait(lambda: rows(browser) == ["enqueued a", "enqueued b"], "what happens")
    browser.see("the server is away", "#state")
    with running_process(data, *ports) as second, Wire(second.address, "default") as wire:
        wire.put("c")
        browser.wait(lambda: len(rows(browser)) == 3, "what happened meanwhile")
        browser.see("live", "#state")
        wire.put("d")
        browser.wait(lambda: len(rows(browser)) == 4, "what happens after it")
        assert rows(browser) == [f"enqueued {each}" for each in "abcd"]


def test_a_deadline_counts_down(browser: Browser, wire: Wire) -> None:
    """Second by second, without asking the server."""
    wire.put("a", suspend_timeout=seconds(90))
    browser.open(f"/topics/{TOPIC}/items/a", namespace=wire.namespace)
    before = browser.text(".deadline")
    browser.wait(lambda: browser.text(".deadline") != before, "it counts")
    assert browser.text(".deadline").startswith("1 min 2")
    assert browser.problems() == []


def test_the_overview_refreshes_itself(browser: Browser, wire: Wire) -> None:
    """What happens shows without loading the page again."""
    browser.open(namespace=wire.namespace)
    browser.see("Nothing was ever enqueued")
    wire.put("a")
    browser.see("1 item and no worker")
    assert browser.problems() == []


@pytest.mark.parametrize("focused", [True, False])
def test_a_region_that_somebody_stands_in_is_left_alone(browser: Browser, wire: Wire, *, focused: bool) -> None:
    """A link must not be pulled away from under the keyboard."""
    wire.put("a")
    browser.open(namespace=wire.namespace)
    if focused:
        browser.driver.execute_script("document.querySelector('#live a').focus()")
    ask = """const event = new CustomEvent('htmx:beforeRequest', {bubbles: true, cancelable: true});
        return !document.querySelector('#live').dispatchEvent(event)"""
    assert browser.driver.execute_script(ask) is focused


def test_a_topic_is_paused_with_the_keyboard_alone(browser: Browser, wire: Wire) -> None:
    """Past the navigation by the first link, to the act, its reason, and done."""
    wire.put("a")
    browser.open(f"/topics/{TOPIC}", namespace=wire.namespace)
    press = browser.driver.switch_to
    press.active_element.send_keys(Keys.TAB)
    assert press.active_element.text == "Skip to the content"
    press.active_element.send_keys(Keys.ENTER)
    for _ in range(10):
        press.active_element.send_keys(Keys.TAB)
        if press.active_element.tag_name == "summary":
            break
    press.active_element.send_keys(Keys.ENTER, Keys.TAB)
    press.active_element.send_keys("bad release", Keys.ENTER)
    browser.see("Resume this topic…")
    assert wire.topic().paused
    assert browser.problems() == []


def test_what_runs_shows_its_lease(browser: Browser, wire: Wire) -> None:
    """And its retries still to come."""
    wire.put("a", retry_policy=work_item_pb2.RetryPolicy(attempts=2))
    wire.claim_one()
    browser.open(f"/topics/{TOPIC}/items/a", namespace=wire.namespace)
    browser.see("1 of 3")
    browser.see("s left")
    assert browser.problems() == []
