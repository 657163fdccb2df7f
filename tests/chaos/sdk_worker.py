"""A worker on the Python SDK, as users write them."""

import asyncio
import json
import os
import signal
from typing import Any

from bloge_worker import BusinessError, Reject, Release, WorkContext, Worker
from chaos.acting import output
from chaos.calls import token_name
from chaos.history import Recorder
from chaos.layout import LEASE_SECONDS, NAMESPACE, TOPICS


def make_worker(address: str, worker_id: str, slots: int, recorder: Recorder) -> Worker:
    """Return a worker whose handler does what the item's script says, as far as a handler can."""
    worker = Worker(
        address, namespace=NAMESPACE, worker_id=worker_id, slots=slots, lease_duration=LEASE_SECONDS, drain_grace=1.0
    )

    async def handle(script: dict[str, Any], ctx: WorkContext) -> object:
        token = token_name(ctx.lease.lease_token)
        told = output(ctx.item_id, ctx.fence, worker_id).decode()
        number = recorder.call("run", item=ctx.item_id, fence=ctx.fence, token=token, worker=worker_id, body=told)
        try:
            await _obey(script, ctx)
        finally:
            recorder.answer(number)
        return json.loads(told)

    for topic in TOPICS:
        worker.handler(topic)(handle)
    return worker


async def _obey(script: dict[str, Any], ctx: WorkContext) -> None:
    await asyncio.sleep(script["work"])
    first = ctx.claim_count == 1
    match script["do"]:
        case "slow" | "late" | "late_fail" | "hang" if first:
            await asyncio.sleep(script.get("seconds", LEASE_SECONDS) + LEASE_SECONDS)
        case "crash" if first:
            os.kill(os.getpid(), signal.SIGKILL)
        case "fail" if ctx.attempt <= script["failures"]:
            raise ValueError("NotYet")
        case "reject":
            raise Reject("Never")
        case "business":
            raise BusinessError("SAID_NO")
        case "release" if first:
            raise Release(script["work"] * 10)
