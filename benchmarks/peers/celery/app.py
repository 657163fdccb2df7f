"""Celery on Redis, acknowledging late."""

import celery

from benchmarks.peers.contract import Surroundings, handle_blocking

_URL = f"redis+socket://{Surroundings.read().store}"
APP = celery.Celery("bench", broker=_URL, backend=_URL)
APP.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=100,
    task_ignore_result=False,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    result_expires=3600,
    broker_connection_retry_on_startup=True,
)


def _noop(item: str, pad: str) -> dict[str, str]:
    del pad
    return handle_blocking(item)


NOOP = APP.task(_noop, name="noop")
