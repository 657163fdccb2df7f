"""Where an orchestrator may die: between any two of its steps that somebody else can see."""

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.execution.events import Event
from bloge_orchestrator.execution.happenings import Happening
from bloge_orchestrator.execution.remote_items import WorkItemsOf
from bloge_orchestrator.execution.remote_journal import RemoteJournal
from bloge_orchestrator.execution.runner import Runner
from bloge_orchestrator.operators import OperatorRegistry
from bloge_orchestrator.owner import Owner

Pass = Callable[[str], None]


class Boundaries:
    """Counts boundaries, and kills this process at one of them, with SIGKILL.

    Args:
        dies_at: Number of the last one, from 1; 0: none is.
    """

    def __init__(self, dies_at: int) -> None:
        self.passed = 0
        self._dies_at = dies_at

    def pass_(self, what: str) -> None:
        """Pass a boundary, or die there."""
        self.passed += 1
        if self.passed == self._dies_at:
            print(json.dumps({"died": what, "at_ms": time.time_ns() // 1_000_000}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


def install(boundaries: Boundaries) -> None:
    """Have this process pass a boundary wherever one is."""
    passes = boundaries.pass_
    _around(ControlPlane, "try_enqueue", passes, "an enqueue")
    _around(ControlPlane, "cancel", passes, "a cancellation of items")
    _before_each_event(passes)
    _before_each_happening(passes)
    _before_each_acknowledgement(passes)
    _before_the_report(passes)


def watch_operators(registry: OperatorRegistry, boundaries: Boundaries) -> OperatorRegistry:
    """Return a registry whose operators pass a boundary once they have done their work."""
    watched = OperatorRegistry()
    for name in registry.names():
        operator = registry.lookup(name)
        assert operator is not None
        watched.register(name, _watched(operator.implementation, boundaries.pass_))
    return watched


def _watched(implementation: Callable[..., Any], passes: Pass) -> Callable[..., Any]:
    @wraps(implementation)
    async def run(*arguments: Any) -> Any:
        try:
            return await implementation(*arguments)
        finally:
            passes("the end of an operator")

    return run


def _replace(owner: type, name: str, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(owner, name)
    setattr(owner, name, wraps(original)(wrapped(original)))


def _around(owner: type, name: str, passes: Pass, what: str) -> None:
    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any, **options: Any) -> Any:
            passes(f"before {what}")
            answer = await original(*arguments, **options)
            passes(f"after {what}")
            return answer

        return call

    _replace(owner, name, wrapped)


def _before_each_event(passes: Pass) -> None:
    """Record the events of a batch one by one, so that an execution may stop after any of them."""

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        async def append(journal: RemoteJournal, events: Sequence[Event]) -> None:
            for event in events:
                passes(f"before {event.TYPE}")
                await original(journal, [event])
            passes("after an append")

        return append

    _replace(RemoteJournal, "append", wrapped)


def _before_each_happening(passes: Pass) -> None:
    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def post(runner: Runner, happening: Happening) -> None:
            passes(f"told of {type(happening).__name__}")
            original(runner, happening)

        return post

    _replace(Runner, "post", wrapped)


def _before_each_acknowledgement(passes: Pass) -> None:
    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def acknowledge(*arguments: Any) -> None:
            passes("before an acknowledgement")
            original(*arguments)

        return acknowledge

    _replace(WorkItemsOf, "acknowledge", wrapped)


def _before_the_report(passes: Pass) -> None:
    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        async def own(*arguments: Any) -> Any:
            end = await original(*arguments)
            passes("before the report of the end")
            return end

        return own

    _replace(Owner, "own", wrapped)
