"""Actions are recorded before they are done, and done once for each request id."""

from typing import Any

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.store.actions import Action, ActionLog

from .conftest import Bench


def _action(bench: Bench, **changes: object) -> Action:
    action = Action(bench.namespace, "Replay", "topic", "ada", "model restored", "r1", b"content")
    return action._replace(**changes)  # type: ignore[arg-type]  # the test names real fields


async def _recorded(bench: Bench) -> list[dict[bytes, bytes]]:
    entries: Any = await bench.client.xrange(f"bloge:{{{bench.namespace}}}:actions")
    return [fields for _, fields in entries]


async def test_an_action_is_recorded_first(bench: Bench) -> None:
    """Who, what and why stand in the record before anything is done."""
    assert await ActionLog(bench.store).begin(_action(bench)) is None
    (recorded,) = await _recorded(bench)
    assert recorded[b"verb"] == b"Replay"
    assert (recorded[b"actor"], recorded[b"reason"]) == (b"ada", b"model restored")


async def test_a_finished_action_answers_again_without_being_done(bench: Bench) -> None:
    """The same request id returns the reply of the first time, and is recorded once."""
    log = ActionLog(bench.store)
    await log.begin(_action(bench))
    await log.finish(_action(bench), b"reply")
    assert await log.begin(_action(bench)) == b"reply"
    assert len(await _recorded(bench)) == 1


async def test_an_unfinished_action_is_done_again(bench: Bench) -> None:
    """If the server died in between, the repeated request carries on."""
    log = ActionLog(bench.store)
    await log.begin(_action(bench))
    assert await log.begin(_action(bench)) is None


async def test_a_request_id_serves_one_request(bench: Bench) -> None:
    """The same id with another content is a mistake."""
    log = ActionLog(bench.store)
    await log.begin(_action(bench))
    with pytest.raises(RemoteWorkersError) as refused:
        await log.begin(_action(bench, content=b"other"))
    assert refused.value.reason is Reason.CONTENT_DIFFERS


async def test_without_a_request_id_every_action_is_its_own(bench: Bench) -> None:
    """Actions without a request id are recorded each time and never answered from memory."""
    log = ActionLog(bench.store)
    for _ in range(2):
        assert await log.begin(_action(bench, request_id="")) is None
        await log.finish(_action(bench, request_id=""), b"reply")
    assert len(await _recorded(bench)) == 2
