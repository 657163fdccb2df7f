"""Who of the listed workers is still here."""

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http.console import shown

_AWAY_MS = 90_000
"""Sessions are heard of every ten seconds, and a worker on unary calls with each claim, which may wait for a minute."""


def is_here(worker: ops.WorkerInfo, now_ms: int) -> bool:
    """Return whether a worker was seen so lately that it is taken for living."""
    return now_ms - shown.ms_of(worker.last_seen_time) <= _AWAY_MS
