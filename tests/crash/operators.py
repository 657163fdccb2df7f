"""The local operators; each notes, before it does anything, that it runs."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from bloge_orchestrator import OperatorContext, OperatorRegistry

RUNS_VARIABLE = "CRASH_RUNS"
"""The environment variable that names the file where operators note their runs."""

registry = OperatorRegistry()


class OnPurposeError(Exception):
    """What operators fail with."""


@registry.operator("Echo")
async def echo(node_input: dict[str, Any], context: OperatorContext) -> Any:
    """Give a value back."""
    _note(context)
    return node_input.get("value")


@registry.operator("FailFirst")
async def fail_first(node_input: dict[str, Any], context: OperatorContext) -> Any:
    """Give a value back, from the second attempt on."""
    _note(context)
    if context.attempt == 1:
        raise OnPurposeError("the first attempt")
    return node_input["value"]


@registry.operator("FailAlways")
async def fail_always(_: dict[str, Any], context: OperatorContext) -> None:
    """Fail."""
    _note(context)
    raise OnPurposeError("each attempt")


@registry.operator("Wait")
async def wait(_: dict[str, Any], context: OperatorContext) -> None:
    """Never return."""
    _note(context)
    await asyncio.Event().wait()


def _note(context: OperatorContext) -> None:
    # One write to a file that is opened to append: lines of several processes do not mix.
    run = {
        "execution": context.execution.execution_id,
        "node": context.execution.node_id,
        "attempt": context.attempt,
        "at_ms": time.time_ns() // 1_000_000,
    }
    with Path(os.environ[RUNS_VARIABLE]).open("a", encoding="utf-8") as runs:
        runs.write(json.dumps(run) + "\n")
