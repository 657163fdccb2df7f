"""For the tests of handlers and workers: one run of a handler, and a control plane in memory.

outcome = run_handler(worker, {"image": "cat.png"}, operator_ref="InferenceOperator", attempt=2)
assert outcome.output == {"label": "cat"}

with FakeControlPlane() as plane:
    worker = make_worker(plane.address)
    async with worker:
        item = plane.enqueue("gpu-inference", {"image": "cat.png"}, operator_ref="InferenceOperator")
        assert (await plane.outcome(item)).output == {"label": "cat"}
"""

from bloge_worker.testing._control_plane import FakeControlPlane, ItemOutcome, Status
from bloge_worker.testing._trials import ContextOverrides, HandlerOutcome, run_handler, run_handler_async

__all__ = [
    "ContextOverrides",
    "FakeControlPlane",
    "HandlerOutcome",
    "ItemOutcome",
    "Status",
    "run_handler",
    "run_handler_async",
]
