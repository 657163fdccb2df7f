"""The worker: `bloge-worker examples.native_binary.worker:worker`."""

from dataclasses import dataclass, field
from typing import Literal

from bloge_worker import Reject, WorkContext, Worker
from examples.native_binary.tool import ToolError, run_tool

TOPIC, OPERATOR = "native-tools", "Sort"
USAGE = 2
"""What `sort` ends with when it does not understand its arguments or cannot read its input."""
FLAGS = {"numeric": "-n", "reverse": "-r", "unique": "-u", "human": "-h", "version": "-V"}
"""What callers may ask for: names, never flags of the program itself."""

worker = Worker(slots=16)


@dataclass
class Lines:
    """The input: lines of text, and how to sort them."""

    lines: list[str]
    by: list[Literal["numeric", "reverse", "unique", "human", "version"]] = field(default_factory=list)


# `async`: the work is done by another program, and waiting costs nothing; so many may run as there are slots.
@worker.handler(TOPIC, operator=OPERATOR)
async def sort(request: Lines, ctx: WorkContext) -> list[str]:
    """Sort lines with the system's `sort`."""
    if any("\n" in line for line in request.lines):
        raise Reject("a line holds a line break")
    data = "".join(f"{line}\n" for line in request.lines).encode()
    try:
        output = await run_tool(["sort", *(FLAGS[name] for name in request.by)], data, ctx)
    except ToolError as error:
        if error.code == USAGE:
            raise Reject(str(error)) from error  # the same arguments would fail again
        raise
    return output.decode().splitlines()
