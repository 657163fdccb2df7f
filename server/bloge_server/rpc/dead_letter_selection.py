"""Which dead letters a request means: its filter checked, a place in a listing, and why one was left alone."""

from dataclasses import dataclass

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.status import to_status
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.domain.work_item import Acted, StoredItem
from bloge_server.rpc import items
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.page_tokens import from_token, no_token, to_token
from bloge_server.store.listing import DeadQuery

MAX_FILTER_IDS = 500
_MAX_ITEMS = 10_000
_DEFAULT_ITEMS = 500
_REFUSALS_TOLD = 100


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a listing stands: after an item of a topic."""

    worker_topic: str = ""
    since_ms: int = 0
    after_id: str = ""

    def token(self) -> str:
        """Return the page token that stands for this place."""
        return to_token(f"{self.worker_topic}/{self.since_ms}/{self.after_id}")

    @classmethod
    def parse(cls, token: str) -> "Place":
        """Return the place that a page token stands for; the beginning for an empty one.

        Raises:
            RemoteWorkersError: INVALID_FIELD if it is none.
        """
        if not token:
            return cls()
        try:
            topic, since, after = from_token(token).split("/")
            return cls(topic, int(since), after)
        except ValueError as error:
            raise no_token() from error


def query_of(criteria: pb.DeadLetterFilter) -> DeadQuery:
    """Return what the store is asked for in search of dead letters that meet criteria; some of them may not."""
    meant = (
        work_item_pb2.WorkItemSpec(execution_id=criteria.execution_id),
        work_item_pb2.WorkItemSpec(operator_ref=criteria.operator_ref),
    )
    until = criteria.dead_letter_time_until if criteria.HasField("dead_letter_time_until") else None
    return DeadQuery(
        until_ms=max(1, until.ToMilliseconds()) if until else 0,
        reason=_reason(criteria.reason),
        error_type=criteria.error_type,
        spec_parts=tuple(part for spec in meant if (part := spec.SerializeToString())),
    )


def _reason(reason: int) -> str:
    """Return a reason as the store writes it; one of a later release as a word that none has, empty for none."""
    known = work_item_pb2.DeadLetterReason.DESCRIPTOR.values_by_number.get(reason)
    name = known.name if known else str(reason)
    return name.removeprefix("DEAD_LETTER_REASON_") if reason else ""


def beginning(criteria: pb.DeadLetterFilter) -> int:
    """Return the instant in ms from which on dead letters can meet criteria."""
    return criteria.dead_letter_time_from.ToMilliseconds() if criteria.HasField("dead_letter_time_from") else 0


def place_of(stored: StoredItem) -> Place:
    """Return the place of a dead letter."""
    return Place(stored.worker_topic, stored.dead_letter_ms or 0, stored.item_id)


@dataclass(frozen=True, slots=True)
class Selection:
    """Dead letters to act on."""

    namespace: str
    worker_topic: str
    criteria: pb.DeadLetterFilter
    max_items: int


def selection_of(checks: Checks, request: pb.ReplayDeadLettersRequest | pb.DiscardDeadLettersRequest) -> Selection:
    """Return what a request selects, checked: at least one criterion."""
    namespace = checks.namespace(request.namespace)
    checks.name("worker_topic", request.worker_topic)
    max_items = checks.number("max_items", request.max_items or _DEFAULT_ITEMS, 1, _MAX_ITEMS)
    if request.filter == pb.DeadLetterFilter():
        checks.wrong("filter", "must have at least one criterion; acting on everything needs a deliberate one")
    check_filter(checks, request.filter)
    return Selection(namespace, request.worker_topic, request.filter, max_items)


def check_filter(checks: Checks, criteria: pb.DeadLetterFilter) -> None:
    """Check the ids that a filter names."""
    if len(criteria.item_ids) > MAX_FILTER_IDS:
        checks.wrong("filter.item_ids", f"must have up to {MAX_FILTER_IDS} entries")
    for index, item_id in enumerate(criteria.item_ids):
        checks.name(f"filter.item_ids[{index}]", item_id)


def checked_ref(checks: Checks, ref: work_item_pb2.WorkItemRef) -> tuple[str, str, str]:
    """Return namespace, topic and id of an item, checked."""
    namespace = checks.namespace(ref.namespace, "item.namespace")
    return (
        namespace,
        checks.name("item.worker_topic", ref.worker_topic),
        checks.name("item.item_id", ref.item_id),
    )


def refuse(
    response: pb.ReplayDeadLettersResponse | pb.DiscardDeadLettersResponse,
    selection: Selection,
    item_id: str,
    acted: Acted,
) -> None:
    """Note in a reply that a dead letter was left alone by the store, and why."""
    ref = work_item_pb2.WorkItemRef(namespace=selection.namespace, worker_topic=selection.worker_topic, item_id=item_id)
    note(response, ref, items.refusal(ref, acted))


def note(
    response: pb.ReplayDeadLettersResponse | pb.DiscardDeadLettersResponse,
    ref: work_item_pb2.WorkItemRef,
    error: RemoteWorkersError,
) -> None:
    """Note in a reply that a dead letter was left alone, and why."""
    response.refused_count += 1
    if len(response.refusals) < _REFUSALS_TOLD:
        response.refusals.add(item=ref, error=to_status(error))


def matches(stored: StoredItem, criteria: pb.DeadLetterFilter) -> bool:
    """Return whether a dead letter meets every criterion that is set."""
    spec = work_item_pb2.WorkItemSpec.FromString(stored.fields["spec"])
    at = stored.dead_letter_ms or 0
    return all(
        (
            not criteria.operator_ref or spec.operator_ref == criteria.operator_ref,
            not criteria.execution_id or spec.execution_id == criteria.execution_id,
            not criteria.reason or items.dead_letter_reason(stored.dead_reason) == criteria.reason,
            not criteria.error_type or items.last_error_type(stored) == criteria.error_type,
            not criteria.HasField("dead_letter_time_from") or at >= criteria.dead_letter_time_from.ToMilliseconds(),
            not criteria.HasField("dead_letter_time_until") or at < criteria.dead_letter_time_until.ToMilliseconds(),
        )
    )
