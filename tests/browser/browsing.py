"""A headless Chromium that looks at the console, and judges every page that it sees."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlencode, urlsplit

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 30
_POLL_SECONDS = 0.1
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Browser:
    """A browser with the console open.

    Args:
        driver: moves it.
        address: of the server's HTTP port.
    """

    def __init__(self, driver: Chrome, address: str) -> None:
        self.driver = driver
        self.address = address
        self._axe = (files("axe_playwright_python") / "axe.min.js").read_text()

    def open(self, path: str = "", **query: str) -> None:
        """Load a page below the console's address."""
        self.driver.get(f"http://{self.address}/console{path}" + (f"?{urlencode(query)}" if query else ""))

    def one(self, selector: str) -> WebElement:
        """Return an element as soon as it is there and can be seen."""
        return self.wait(lambda: next((each for each in self.all(selector) if each.is_displayed()), None), selector)

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements that are there."""
        found: list[WebElement] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def text(self, selector: str = "main") -> str:
        """Return what stands in an element."""
        return str(self.one(selector).text)

    def click(self, words: str) -> None:
        """Follow the link, or press the button, that says so."""
        path = f"//a[contains(., '{words}')] | //button[contains(., '{words}')] | //summary[contains(., '{words}')]"

        def clicked() -> bool:
            visible = [each for each in self.driver.find_elements(By.XPATH, path) if each.is_displayed()]
            for each in visible[:1]:
                each.click()
            return bool(visible)

        self.wait(clicked, words)

    def fill(self, **fields: str) -> None:
        """Write into the fields that can be seen."""
        for name, value in fields.items():
            element = self.one(f"[name={name}]:not([type=hidden])")
            element.clear()
            element.send_keys(value)

    def wait(self, condition: Any, what: str) -> Any:
        """Return what a condition gives as soon as it is true; elements may be replaced while it looks."""
        waiting = WebDriverWait(self.driver, PATIENCE, _POLL_SECONDS, [StaleElementReferenceException])
        return waiting.until(lambda _: condition(), f"not seen in time: {what}")

    def see(self, text: str, selector: str = "main") -> None:
        """Wait until a text stands in an element."""
        self.wait(lambda: any(text in each.text for each in self.all(selector)), text)

    def problems(self) -> list[str]:
        """Return what is wrong with the page: what axe finds, what the console says, what was asked of other hosts."""
        return [*self._violations(), *self._complaints(), *self._foreign()]

    def _violations(self) -> list[str]:
        self.driver.execute_script(self._axe)
        run = "axe.run(document, {runOnly: arguments[0]}).then(arguments[arguments.length - 1])"
        found = self.driver.execute_async_script(run, _RULES)
        return [
            f"axe: {each['id']} at {node['target']}: {node['failureSummary']}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    def _complaints(self) -> list[str]:
        return [f"console: {each['message']}" for each in self.driver.get_log("browser")]

    def _foreign(self) -> list[str]:
        sent = [json.loads(each["message"])["message"] for each in self.driver.get_log("performance")]
        urls = [each["params"]["request"]["url"] for each in sent if each["method"] == "Network.requestWillBeSent"]
        foreign = (url for url in urls if url.startswith(("http", "ws")) and urlsplit(url).netloc != self.address)
        return [f"request: {url}" for url in foreign]


@contextmanager
def chromium(profile: Path, *flags: str) -> Iterator[Chrome]:
    """Yield a browser of the machine's own Chromium with a new profile; close it afterwards.

    Args:
        profile: a new folder.
        flags: further ones.
    """
    options = ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM") or which("chromium") or ""
    for flag in (*_FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = ChromeService(executable_path=os.environ.get("CHROMEDRIVER") or which("chromedriver"))
    driver = Chrome(options=options, service=service)
    try:
        driver.set_window_size(1280, 900)
        yield driver
    finally:
        driver.quit()
