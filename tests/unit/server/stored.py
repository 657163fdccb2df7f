"""Records as the store packs them, for tests that need no store."""

from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.domain.work_item import StoredItem, StoredOutcome
from bloge_server.store import codec

NAMESPACE, TOPIC = "ns", "topic"
ENQUEUED_MS, CLAIMED_MS, ENDED_MS = 1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_500


def policy(*, group: str = "group", on_dead_letter: str = "KEEP_SUSPENDED", deadline: str = "-") -> bytes:
    """Return a packed policy."""
    return f"1 {deadline} 3600000 {group} 2 FIXED:0:0 3 {on_dead_letter} digest {ENQUEUED_MS} EXECUTE_NODE".encode()


def state(
    status: str = "READY",
    *,
    fence: str = "-",
    worker: str = "w1",
    claimed: int | None = CLAIMED_MS,
    retries: int = 0,
    outcome: str = "-",
    outcome_at: str = "-",
) -> bytes:
    """Return a packed state; without a fence the item was never claimed."""
    claim = "- - - - - -" if fence == "-" else f"{fence} nonce {worker} {claimed or '-'} 30000 1"
    return f"{status} 17 {claim} - {retries} 0 1 {outcome} {outcome_at}".encode()


def outcome(
    item_id: str = "a",
    kind: str = "COMPLETED",
    *,
    status: str = "DONE",
    packed_policy: bytes = policy(),
    fields: dict[str, bytes] | None = None,
) -> StoredOutcome:
    """Return an outcome."""
    found = item(
        state(status, fence="5", outcome=kind, outcome_at=str(ENDED_MS)), packed_policy, fields, item_id=item_id
    ).outcome
    assert found is not None
    return found


def item(
    packed_state: bytes, packed_policy: bytes = policy(), fields: dict[str, bytes] | None = None, *, item_id: str = "a"
) -> StoredItem:
    """Return a whole record."""
    spec = work_item_pb2.WorkItemSpec(item_id=item_id, worker_topic=TOPIC, execution_id="e1", node_id="n1")
    return StoredItem(
        namespace=NAMESPACE,
        worker_topic=TOPIC,
        item_id=item_id,
        policy=codec.policy(packed_policy),
        state=codec.state(packed_state),
        fields={"spec": spec.SerializeToString(), "payload": b"in", **(fields or {})},
        lease_deadline_ms=None,
        due_ms=None,
        dead_letter_ms=None,
    )
