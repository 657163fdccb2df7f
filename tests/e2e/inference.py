"""A worker of topic `gpu-inference`, for `bloge-worker`. Its first attempt at each item fails."""

from typing import Any

from bloge_worker import WorkContext, Worker

worker = Worker(slots=4)


@worker.handler("gpu-inference", operator="InferenceOperator")
async def infer(_: dict[str, Any], ctx: WorkContext) -> dict[str, Any]:
    """Tell which attempt this is."""
    if ctx.attempt == 1:
        raise OSError("the device is busy")
    return {"attempt": ctx.attempt}
