"""Python SDK for BLOGE remote workers.

worker = Worker("127.0.0.1:7070", slots=8)

@worker.handler("gpu-inference", operator="InferenceOperator")
async def infer(input: dict, ctx: WorkContext) -> dict:
    return {"label": await classify(input["image"])}

worker.run_forever()
"""

from bloge_worker.config import Security, WorkerConfig
from bloge_worker.context import WorkContext
from bloge_worker.errors import (
    BusinessError,
    ConfigError,
    HandlerError,
    ProgressTooLarge,
    Reject,
    Release,
    RetryLater,
    WorkerClosed,
    WorkerError,
    WorkerRefused,
)
from bloge_worker.handlers import Executor
from bloge_worker.outcomes import GraphCancelled
from bloge_worker.stats import HandlerStats, WorkerStats
from bloge_worker.worker import Worker

__all__ = [
    "BusinessError",
    "ConfigError",
    "Executor",
    "GraphCancelled",
    "HandlerError",
    "HandlerStats",
    "ProgressTooLarge",
    "Reject",
    "Release",
    "RetryLater",
    "Security",
    "WorkContext",
    "Worker",
    "WorkerClosed",
    "WorkerConfig",
    "WorkerError",
    "WorkerRefused",
    "WorkerStats",
]
