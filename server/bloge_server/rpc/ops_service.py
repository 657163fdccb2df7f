"""`OpsService`: what people and their tools ask and do."""

from bloge.remote_workers.v1 import ops_service_pb2
from bloge_server.rpc.boundary import completes
from bloge_server.rpc.dead_letter_ops import DeadLetterOps
from bloge_server.rpc.journal_ops import JournalOps
from bloge_server.rpc.topic_ops import TopicOps
from bloge_server.rpc.worker_ops import WorkerOps
from bloge_server.services.event_feed import EventFeed
from bloge_server.store.redis_store import RedisStore


@completes(ops_service_pb2.DESCRIPTOR.services_by_name["OpsService"])
class OpsService(TopicOps, DeadLetterOps, WorkerOps, JournalOps):
    """Topics, items, dead letters, workers, and what happens.

    Args:
        store: where they live.
        max_payload_bytes: the largest payload.
        feed: tells what happens.
    """

    def __init__(self, store: RedisStore, max_payload_bytes: int, feed: EventFeed) -> None:
        TopicOps.__init__(self, store)
        DeadLetterOps.__init__(self, store, max_payload_bytes)
        WorkerOps.__init__(self, store)
        JournalOps.__init__(self, feed)
