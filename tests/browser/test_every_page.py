"""Every page, in light and dark, on a desk and on a phone: nothing to complain of."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .browsing import Browser
from .conftest import Story
from .worker import TOPIC

SHOTS = os.environ.get("SHOTS")
"""A folder for a picture of each page; empty: none."""
PAGES = {
    "overview": "",
    "topic": f"/topics/{TOPIC}",
    "item": f"/topics/{TOPIC}/items/bill-0",
    "replay": f"/topics/{TOPIC}/items/bill-0/replay",
    "item-done": f"/topics/{TOPIC}/items/bill-1",
    "executions": "/executions",
    "execution": "/executions/{suspended}",
    "execution-done": "/executions/{finished}",
    "dead-letters": "/dead-letters",
    "dead-letters-by-error": "/dead-letters/groups",
    "all-that-match": f"/dead-letters/all?topic={TOPIC}",
    "workers": "/workers",
    "worker": "/workers/gpu-2",
    "journal": "/journal",
    "actions": "/actions",
    "audit": "/audit",
}
LOOKS = {
    "light": {"width": 1280, "dark": False},
    "dark": {"width": 1280, "dark": True},
    "phone": {"width": 390, "dark": False},
}


def dress(browser: Browser, look: str) -> None:
    """Make the browser one that looks so."""
    width, dark = LOOKS[look]["width"], LOOKS[look]["dark"]
    size = {"width": width, "height": 860, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


@pytest.fixture
def dressed(browser: Browser) -> Iterator[Browser]:
    """Return the browser; afterwards it looks as before."""
    yield browser
    dress(browser, "light")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_wrong_with_a_page(story: Story, dressed: Browser, page: str, look: str) -> None:
    """No accessibility violation, no message in the browser's console, no request to another host, nothing cut off."""
    dress(dressed, look)
    dressed.open(PAGES[page].format(**vars(story)))
    settle(dressed, page)
    assert dressed.problems() == []
    assert dressed.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    if SHOTS and (look == "light" or page in {"overview", "execution"}):
        name = page if look == "light" else f"{page}-{look}"
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        dressed.driver.save_screenshot(str(Path(SHOTS) / f"{name}.png"))


def settle(browser: Browser, page: str) -> None:
    """Wait until a page has what comes after it."""
    if page == "dead-letters":
        browser.see("ZeroDivisionError", "#groups")
    if page == "all-that-match":
        browser.see("would be replayed")
    if page == "journal":
        browser.see("live", "#state")
        browser.see("enqueued", "#journal tbody")


def test_a_page_that_is_not_there(story: Story, browser: Browser) -> None:
    """Says so, accessibly; that it is not there is all that the browser has to say."""
    browser.open("/nowhere")
    browser.see("there is no such page")
    assert [each for each in browser.problems() if "404" not in each] == []
