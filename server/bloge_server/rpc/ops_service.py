"""`OpsService`: what people and their tools ask and do."""

from bloge.remote_workers.v1 import ops_service_pb2_grpc
from bloge_server.rpc.action_ops import ActionOps
from bloge_server.rpc.dead_letter_acts import DeadLetterSteps
from bloge_server.rpc.dead_letter_lists import DeadLetterLists
from bloge_server.rpc.dead_letter_ops import DeadLetterOps
from bloge_server.rpc.item_ops import ItemOps
from bloge_server.rpc.journal_ops import JournalOps
from bloge_server.rpc.topic_ops import TopicOps
from bloge_server.rpc.worker_ops import WorkerOps
from bloge_server.services.event_feed import EventFeed
from bloge_server.store.redis_store import RedisStore


class OpsService(
    TopicOps,
    ItemOps,
    DeadLetterLists,
    DeadLetterOps,
    DeadLetterSteps,
    WorkerOps,
    JournalOps,
    ActionOps,
    ops_service_pb2_grpc.OpsServiceServicer,
):
    """Topics, items, dead letters, workers, what happens, and what people did.

    Args:
        store: where they live.
        max_payload_bytes: the largest payload.
        feed: tells what happens.
    """

    def __init__(self, store: RedisStore, max_payload_bytes: int, feed: EventFeed) -> None:
        TopicOps.__init__(self, store)
        ItemOps.__init__(self, store)
        DeadLetterLists.__init__(self, store)
        DeadLetterSteps.__init__(self, store, max_payload_bytes)
        DeadLetterOps.__init__(self, store, max_payload_bytes)
        WorkerOps.__init__(self, store)
        JournalOps.__init__(self, feed)
        ActionOps.__init__(self, store)
