"""The page of a long action, also when nobody carries it out any more."""

from typing import cast

import httpx
import pytest

from bloge_server.http import app as http_app
from bloge_server.http.console.run_pages import RunPages
from bloge_server.http.console.site import Site
from bloge_server.store.runs import Run, RunBook

NOW_MS = 1_700_000_100_000
RUNNING = Run("r1", "Replay of dead letters", "dead letters", NOW_MS - 30_000, NOW_MS - 1_000, 100, done=40, refused=2)


class Book:
    """Has one action."""

    def __init__(self, run: Run) -> None:
        self.run = run

    async def read(self, _namespace: str, run_id: str) -> Run | None:
        """Return it by its id."""
        return self.run if run_id == self.run.run_id else None


async def page(run: Run, *, part: bool = False, run_id: str = "r1") -> httpx.Response:
    """Load the page of an action."""
    pages = RunPages(Site("1.0"), cast("RunBook", Book(run)))
    app = http_app.build(pages.routes(), frozenset(), clock=lambda: NOW_MS / 1000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        return await http.get(f"/console/runs/{run_id}", headers={"HX-Request": "true"} if part else {})


async def test_an_action_that_goes_on_is_looked_at_again() -> None:
    """And can be stopped."""
    text = (await page(RUNNING)).text
    assert 'hx-trigger="every 1s"' in text
    assert '<strong id="done">40</strong> of 100 dead letters, 2 refused' in text
    assert '<progress max="100" value="42"' in text
    assert "/console/runs/r1/stop" in text


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
async def test_an_action_that_has_ended_is_not(state: str) -> None:
    """It says how it ended."""
    text = (await page(RUNNING._replace(state=state, error="the store is away" if state == "failed" else ""))).text
    assert "hx-trigger" not in text
    assert "/stop" not in text
    assert f'class="status {state}"' in text
    assert ("the store is away" in text) is (state == "failed")


async def test_an_action_whose_server_is_gone_is_lost() -> None:
    """What is done is done; nobody waits for the rest."""
    text = (await page(RUNNING._replace(updated_ms=NOW_MS - 20_001))).text
    assert "The server that did this is gone." in text
    assert "hx-trigger" not in text


async def test_only_what_changes_is_loaded_again() -> None:
    """Without the frame of the page."""
    text = (await page(RUNNING, part=True)).text
    assert "<html" not in text
    assert 'id="run"' in text


async def test_an_action_that_nobody_knows() -> None:
    """They are kept for a day."""
    response = await page(RUNNING, run_id="r2")
    assert response.status_code == 404
    assert "kept for a day" in response.text
