"""The worker of the remote nodes; it is never killed, and counts what it runs."""

from collections import Counter
from typing import Any

from bloge_worker import BusinessError, Reject, WorkContext, Worker
from crash.layout import NAMESPACE, TOPIC


def make_worker(address: str, runs: Counter[str]) -> Worker:
    """Return a worker that notes each item as it begins.

    Args:
        address: of the server.
        runs: takes the ids.
    """
    worker = Worker(address, namespace=NAMESPACE, worker_id="worker", slots=64)

    @worker.handler(TOPIC, operator="Double")
    async def double(node_input: dict[str, Any], ctx: WorkContext) -> int:
        runs[ctx.item_id] += 1
        return 2 * int(node_input["value"])

    @worker.handler(TOPIC, operator="FailFirst")
    async def fail_first(node_input: dict[str, Any], ctx: WorkContext) -> object:
        runs[ctx.item_id] += 1
        if ctx.attempt == 1:
            raise ValueError("the first attempt")
        return node_input["value"]

    @worker.handler(TOPIC, operator="Object")
    async def make_objection(_: dict[str, Any], ctx: WorkContext) -> None:
        runs[ctx.item_id] += 1
        raise BusinessError("OBJECTED")

    @worker.handler(TOPIC, operator="Break")
    async def break_down(_: dict[str, Any], ctx: WorkContext) -> None:
        runs[ctx.item_id] += 1
        raise Reject("no worker can do this")

    return worker
