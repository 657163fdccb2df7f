"""Whether what a request names is there."""

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.rpc.fields import Checks
from bloge_server.store.redis_store import RedisStore


async def known_topic(store: RedisStore, namespace: str, worker_topic: str) -> tuple[str, str]:
    """Return a topic's name, checked.

    Raises:
        RemoteWorkersError: INVALID_FIELD, or NOT_FOUND if nothing was ever enqueued there.
    """
    checks = Checks()
    name = checks.namespace(namespace)
    checks.name("worker_topic", worker_topic)
    checks.done()
    if worker_topic not in await store.topics(name):
        raise RemoteWorkersError(Reason.NOT_FOUND, f"nothing was ever enqueued to topic {worker_topic!r}")
    return name, worker_topic
