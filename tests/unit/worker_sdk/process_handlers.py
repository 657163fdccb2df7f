"""Handlers that child processes import."""

import logging
import os
import signal
import threading

from bloge_worker import BusinessError, WorkContext

_lingering: list[WorkContext] = []
"""Contexts that outlived their run, as a forgotten thread might keep them."""


def run(value: dict[str, str], ctx: WorkContext) -> dict[str, object]:
    """Do what the input says, and tell which process did it."""
    match value.get("do"):
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            ctx.progress({"pid": os.getpid()})
            threading.Event().wait()
        case "object":
            raise BusinessError("NO", details={"pid": os.getpid()})
        case "big":
            return {"text": "x" * 1000}
        case "linger":
            _lingering.append(ctx)
        case "late":
            ctx.progress({"of": "this run"})
            _lingering.pop().progress({"of": "another run"})
        case "log":
            ctx.log.info("half way")
            logging.getLogger("library").debug("too much detail")
        case _:
            pass
    return {"pid": os.getpid(), "attempt": ctx.attempt, "left": ctx.remaining()}


def reverse(payload: bytes) -> bytes:
    """Give bytes for bytes."""
    return payload[::-1]
