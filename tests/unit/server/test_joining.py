"""Small calls on one topic share script calls while others are on their way, and nothing waits without need."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from bloge_server.store.joining import MOST_BYTES, MOST_ITEMS, Joining, Part


class Store:
    """Answers each call when it is told to, with the items it was asked about."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any], asyncio.Future[None]]] = []

    async def __call__(self, script: str, namespace: str, worker_topic: str, parts: Sequence[Part]) -> list[Any]:
        """Wait for `answer`, then return the first argument of each item."""
        answered = asyncio.get_running_loop().create_future()
        names = [part[0] for part in parts]
        self.calls.append((f"{script} {namespace}/{worker_topic}", names, answered))
        await answered
        return names

    async def answer(self, number: int, error: Exception | None = None) -> None:
        """Answer a call and let everything that follows from it happen."""
        if error is None:
            self.calls[number][2].set_result(None)
        else:
            self.calls[number][2].set_exception(error)
        await settle()

    @property
    def batches(self) -> list[list[Any]]:
        """What each call so far was about."""
        return [names for _, names, _ in self.calls]


async def settle() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(10):
        await asyncio.sleep(0)


def ask(joining: Joining, *names: str, script: str = "complete", topic: str = "t") -> "asyncio.Task[list[Any]]":
    """Make a call about some items."""
    return asyncio.create_task(joining(script, "default", topic, [(name,) for name in names]))


async def test_a_lone_call_goes_out_at_once() -> None:
    """Nothing waits for company."""
    store = Store()
    asked = ask(Joining(store), "a")
    await settle()
    assert store.batches == [["a"]]
    await store.answer(0)
    assert await asked == ["a"]


async def test_calls_that_come_meanwhile_go_out_together() -> None:
    """Behind two that are on their way the rest gathers; each caller gets its own replies."""
    store = Store()
    joining = Joining(store)
    asked = [ask(joining, *names) for names in (["a"], ["b"], ["c", "d"], ["e"])]
    await settle()
    assert store.batches == [["a"], ["b"]]
    await store.answer(0)
    assert store.batches[2:] == [["c", "d", "e"]]
    await store.answer(1)
    await store.answer(2)
    assert [await each for each in asked] == [["a"], ["b"], ["c", "d"], ["e"]]


async def test_other_scripts_and_topics_do_not_wait() -> None:
    """Only calls that could be one call wait for each other."""
    store = Store()
    joining = Joining(store)
    asked = [ask(joining, "a") for _ in range(3)] + [ask(joining, "b", script="fail"), ask(joining, "c", topic="u")]
    await settle()
    assert store.batches == [["a"], ["a"], ["b"], ["c"]]
    for number in range(4):
        await store.answer(number)
    await store.answer(4)
    await asyncio.gather(*asked)


async def test_large_calls_never_wait() -> None:
    """A call that is large by itself gains nothing by waiting."""
    store = Store()
    joining = Joining(store)
    asked = [ask(joining, *("x" * (MOST_ITEMS // 2))) for _ in range(4)]
    await settle()
    assert len(store.calls) == 4
    for number in range(4):
        await store.answer(number)
    await asyncio.gather(*asked)


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        ([[("i",)] * 200, [("i",)] * 200, [("i",)] * 200], [400, 200]),
        ([[("i", b"x" * MOST_BYTES)], [("i", b"y")], [("i", b"z")]], [1, 2]),
    ],
    ids=["items", "bytes"],
)
async def test_joined_calls_are_bounded(parts: list[list[Part]], joined: list[int]) -> None:
    """No more items and bytes go out in one call than the store takes."""
    store = Store()
    joining = Joining(store)
    ahead = [ask(joining, "a"), ask(joining, "b")]
    await settle()
    asked = [asyncio.create_task(joining("complete", "default", "t", each)) for each in parts]
    await settle()
    await store.answer(0)
    await store.answer(1)
    assert [len(batch) for batch in store.batches[2:]] == joined
    await store.answer(2)
    await store.answer(3)
    await asyncio.gather(*ahead, *asked)


async def test_a_failure_is_told_to_each_caller_and_the_next_call_goes_on() -> None:
    """Whoever shared a call that failed is told so; those behind it are served."""
    store = Store()
    joining = Joining(store)
    asked = [ask(joining, name) for name in "abcd"]
    await settle()
    await store.answer(0)
    late = ask(joining, "e")
    await settle()
    await store.answer(2, RuntimeError("away"))
    await store.answer(1)
    await store.answer(3)
    results = await asyncio.gather(*asked, late, return_exceptions=True)
    assert [str(result) for result in results] == ["['a']", "['b']", "away", "away", "['e']"]


async def test_a_caller_that_leaves_takes_nobody_along() -> None:
    """A caller that is cancelled, while it waits or while its call is on its way, stops no other."""
    store = Store()
    joining = Joining(store)
    first, second, third, fourth = (ask(joining, name) for name in "abcd")
    await settle()
    third.cancel()
    first.cancel()
    await settle()
    assert store.batches == [["a"], ["b"], ["c", "d"]]
    await store.answer(1)
    await store.answer(2)
    assert (await second, await fourth) == (["b"], ["d"])
    assert first.cancelled()
    assert third.cancelled()
