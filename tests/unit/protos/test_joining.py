"""Small calls of one kind share calls while others are on their way, and nothing waits without need."""

import asyncio
from collections.abc import Sequence

import pytest

from bloge.remote_workers.joining import MOST_BYTES, MOST_ITEMS, Joining

Joined = Joining[tuple[str, str], str, str]


class Callee:
    """Answers each call when it is told to, with the items it was asked about."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[str, str], list[str], asyncio.Future[None]]] = []

    async def __call__(self, kind: tuple[str, str], items: Sequence[str]) -> list[str]:
        """Wait for `answer`, then return the items."""
        answered = asyncio.get_running_loop().create_future()
        self.calls.append((kind, list(items), answered))
        await answered
        return list(items)

    async def answer(self, number: int, error: Exception | None = None) -> None:
        """Answer a call and let everything that follows from it happen."""
        if error is None:
            self.calls[number][2].set_result(None)
        else:
            self.calls[number][2].set_exception(error)
        await settle()

    @property
    def batches(self) -> list[list[str]]:
        """What each call so far was about."""
        return [items for _, items, _ in self.calls]


async def settle() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(10):
        await asyncio.sleep(0)


def ask(joining: Joined, *items: str, script: str = "complete", topic: str = "t") -> "asyncio.Task[Sequence[str]]":
    """Make a call about some items."""

    async def call() -> Sequence[str]:
        return await joining((script, topic), items)

    return asyncio.create_task(call())


def joined_calls(callee: Callee) -> Joined:
    """Return what joins calls of a callee."""
    return Joining(callee, len)


async def test_a_lone_call_goes_out_at_once() -> None:
    """Nothing waits for company."""
    callee = Callee()
    asked = ask(joined_calls(callee), "a")
    await settle()
    assert callee.batches == [["a"]]
    await callee.answer(0)
    assert await asked == ["a"]


async def test_calls_that_come_meanwhile_go_out_together() -> None:
    """Behind two that are on their way the rest gathers; each caller gets its own replies."""
    callee = Callee()
    joining = joined_calls(callee)
    asked = [ask(joining, *names) for names in (["a"], ["b"], ["c", "d"], ["e"])]
    await settle()
    assert callee.batches == [["a"], ["b"]]
    await callee.answer(0)
    assert callee.batches[2:] == [["c", "d", "e"]]
    await callee.answer(1)
    await callee.answer(2)
    assert [await each for each in asked] == [["a"], ["b"], ["c", "d"], ["e"]]


async def test_other_scripts_and_topics_do_not_wait() -> None:
    """Only calls that could be one call wait for each other."""
    callee = Callee()
    joining = joined_calls(callee)
    asked = [ask(joining, "a") for _ in range(3)] + [ask(joining, "b", script="fail"), ask(joining, "c", topic="u")]
    await settle()
    assert callee.batches == [["a"], ["a"], ["b"], ["c"]]
    for number in range(4):
        await callee.answer(number)
    await callee.answer(4)
    await asyncio.gather(*asked)


async def test_large_calls_never_wait() -> None:
    """A call that is large by itself gains nothing by waiting."""
    callee = Callee()
    joining = joined_calls(callee)
    asked = [ask(joining, *("x" * (MOST_ITEMS // 2))) for _ in range(4)]
    await settle()
    assert len(callee.calls) == 4
    for number in range(4):
        await callee.answer(number)
    await asyncio.gather(*asked)


@pytest.mark.parametrize(
    ("calls", "joined"),
    [
        ([["i"] * 200, ["i"] * 200, ["i"] * 200], [400, 200]),
        ([["x" * MOST_BYTES], ["y"], ["z"]], [1, 2]),
    ],
    ids=["items", "bytes"],
)
async def test_joined_calls_are_bounded(calls: list[list[str]], joined: list[int]) -> None:
    """No more items and bytes go out in one call than the other side takes."""
    callee = Callee()
    joining = joined_calls(callee)
    ahead = [ask(joining, "a"), ask(joining, "b")]
    await settle()
    asked = [ask(joining, *each) for each in calls]
    await settle()
    await callee.answer(0)
    await callee.answer(1)
    assert [len(batch) for batch in callee.batches[2:]] == joined
    await callee.answer(2)
    await callee.answer(3)
    await asyncio.gather(*ahead, *asked)


async def test_a_failure_is_told_to_each_caller_and_the_next_call_goes_on() -> None:
    """Whoever shared a call that failed is told so; those behind it are served."""
    callee = Callee()
    joining = joined_calls(callee)
    asked = [ask(joining, name) for name in "abcd"]
    await settle()
    await callee.answer(0)
    late = ask(joining, "e")
    await settle()
    await callee.answer(2, RuntimeError("away"))
    await callee.answer(1)
    await callee.answer(3)
    results = await asyncio.gather(*asked, late, return_exceptions=True)
    assert [str(result) for result in results] == ["['a']", "['b']", "away", "away", "['e']"]


async def test_a_caller_that_leaves_takes_nobody_along() -> None:
    """A caller that is cancelled, while it waits or while its call is on its way, stops no other."""
    callee = Callee()
    joining = joined_calls(callee)
    first, second, third, fourth = (ask(joining, name) for name in "abcd")
    await settle()
    third.cancel()
    first.cancel()
    await settle()
    assert callee.batches == [["a"], ["b"], ["c", "d"]]
    await callee.answer(1)
    await callee.answer(2)
    assert (await second, await fourth) == (["b"], ["d"])
    assert first.cancelled()
    assert third.cancelled()
