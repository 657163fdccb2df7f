"""dramatiq: threads, on Redis lists."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers.contract import Surroundings, handle_blocking

_URL = f"unix://{Surroundings.read().store}"
RESULTS = RedisBackend(url=_URL)
BROKER = RedisBroker(url=_URL)
BROKER.add_middleware(Results(backend=RESULTS, store_results=True, result_ttl=3_600_000))
dramatiq.set_broker(BROKER)


def _noop(item: str, pad: str) -> dict[str, str]:
    del pad
    return handle_blocking(item)


NOOP = dramatiq.actor(_noop, actor_name="noop", queue_name="bench")
