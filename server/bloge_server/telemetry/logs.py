"""What is worth a line in the log: a probe that tells of single items, with everything to find them by."""

from collections.abc import Sequence
from typing import Any

import structlog

from bloge.remote_workers.tracing import trace_id_of
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.telemetry.probe import Facts, Notable, Probe, Refusal, Topic

_MOST_REFUSALS = 20
"""Of one batch; a worker that is wrong about everything must not fill the disk."""

_LINES = {
    "dead_letter": ("warning", "dead letter"),
    "retry LEASE_LOST": ("warning", "lease lost"),
    "retry ATTEMPT_TIMEOUT": ("warning", "attempt timed out"),
    "outcome TIMED_OUT": ("info", "suspend deadline passed"),
    "outcome CANCELLED": ("info", "cancelled"),
    "late_output": ("info", "late output kept"),
}
"""Level and text by event, or by event and word."""

_log = structlog.get_logger(__name__)


class Logs(Probe):
    """Writes what people look for when something went wrong with an item."""

    def happened(self, topic: Topic, facts: Facts) -> None:
        """Write a line for each notable event."""
        for each in facts.notable:
            _tell(topic, each)

    def refused(self, topic: Topic, refusals: Sequence[Refusal]) -> None:
        """Write a line for each refused report, of a large batch only the first ones."""
        log = _log.bind(namespace=topic[0], worker_topic=topic[1])
        for each in refusals[:_MOST_REFUSALS]:
            log.info("report refused", **{name: value for name, value in each._asdict().items() if value})
        if (more := len(refusals) - _MOST_REFUSALS) > 0:
            log.info("more reports refused", report=refusals[0].report, count=more)


def _tell(topic: Topic, notable: Notable) -> None:
    level, text = _LINES.get(notable.event) or _LINES[f"{notable.event} {notable.word}"]
    reason = {"reason": notable.word} if notable.event in _LINES else {}
    getattr(_log, level)(text, namespace=topic[0], worker_topic=topic[1], **reason, **_item(notable))


def _item(notable: Notable) -> dict[str, Any]:
    """Return the facts by which an item is found here and elsewhere."""
    spec = work_item_pb2.WorkItemSpec.FromString(notable.spec)
    facts = {
        "item_id": notable.item_id,
        "execution_id": spec.execution_id,
        "node_id": spec.node_id,
        "worker_id": notable.worker_id.strip("-"),
        "fence": notable.fence.strip("-"),
        "trace_id": trace_id_of(spec.trace_context),
    }
    return {name: value for name, value in facts.items() if value}
