"""Puts what the store has and what the model predicts in the same words, and tells where they differ."""

import json
from functools import lru_cache

from bloge_server.domain.lifecycle import INDEX_OF, Status
from bloge_server.domain.work_item import ItemState

from .model.item import Item
from .model.topic import Topic
from .reading import GROUPS, Record, Snapshot

PRIORITY_STEP = 2**46
"""A score of `ready` is (99 - priority) * 2^46 + sequence (`docs/store.md`)."""


def differences(snapshot: Snapshot, model: Topic) -> list[str]:
    """Return where the store and the model differ, a line each."""
    found = [f"{item_id}: no record, but stands in {indexes}" for item_id, indexes in snapshot.strays.items()]
    for item_id in sorted(snapshot.records.keys() | model.items.keys()):
        if item_id not in snapshot.records or item_id not in model.items:
            found.append(f"{item_id}: {'is not there' if item_id in model.items else 'should not be there'}")
        else:
            told = of_store(snapshot.records[item_id]), of_model(model.items[item_id])
            found += [f"{item_id}: {line}" for line in _unequal(*told)]
    return found + _unequal(_topic_of_store(snapshot), _topic_of_model(model))


def _unequal(stored: dict[str, object], predicted: dict[str, object]) -> list[str]:
    if stored == predicted:
        return []
    names = [name for name in sorted(stored.keys() | predicted.keys()) if stored.get(name) != predicted.get(name)]
    return [f"{name} is {stored.get(name)!r}, should be {predicted.get(name)!r}" for name in names]


def _topic_of_store(snapshot: Snapshot) -> dict[str, object]:
    counts = {name: snapshot.counts.get(name, 0) for name in ("sequence", "outcomes", "unacknowledged")}
    return counts | {"groups that wait": snapshot.groups}


def _topic_of_model(model: Topic) -> dict[str, object]:
    boxes = {group: model.outbox(group) for group in GROUPS}
    return {
        "sequence": model.sequence,
        "outcomes": model.outcomes,
        "unacknowledged": sum(map(len, boxes.values())),
        "groups that wait": {group: box[0].outcome_at for group, box in boxes.items() if box},
    }


def of_store(record: Record) -> dict[str, object]:
    """Return everything that the model predicts of an item, as the store has it."""
    told = {name: record.fields.get(name) for name in ("payload", "output", "business_error", "progress")}
    facts = record.state._asdict() | told | {f"stands in {name}": score for name, score in record.indexes.items()}
    del facts["decided"]  # how answers are kept; what they are shows when a report comes again
    return facts | {
        "releases": int(record.fields.get("release_count", b"0")),
        "replays": int(record.fields.get("replay_count", b"0")),
        "dead reason": record.fields.get("dead_reason", b"").decode() or None,
        "cancel requested": "cancel_requested" in record.fields,
        "history": record.history,
        "late outputs": list(record.late_outputs.items()),
        "schema": record.policy.schema,
    }


def of_model(item: Item) -> dict[str, object]:
    """Return the same of the model's item."""
    claim = item.claim
    state = ItemState(
        status=item.status,
        order=_order(item),
        fence=item.fence,
        nonce=claim.nonce if claim else "-",
        worker_id=claim.worker if claim else "",
        claimed_ms=claim.at if claim else None,
        lease_ms=claim.lease if claim else None,
        received=claim is not None and claim.received,
        decided="",
        retry_count=item.retries,
        lease_loss_count=item.losses,
        claim_count=item.claims,
        outcome=item.outcome,
        outcome_ms=item.outcome_at,
    )
    facts = state._asdict()
    del facts["decided"]
    return facts | _indexes(item) | {
        "payload": item.payload,
        "output": item.output,
        "business_error": item.business_error,
        "progress": item.progress,
        "releases": item.releases,
        "replays": item.replays,
        "dead reason": item.dead_reason,
        "cancel requested": item.cancel_requested,
        "history": tuple(each._replace(failure=_normal(each.failure)) for each in item.history),
        "late outputs": list(item.late_outputs.items()),
        "schema": item.schema,
    }  # fmt: skip


def _order(item: Item) -> int:
    return (99 - item.new.priority) * PRIORITY_STEP + item.sequence


def _indexes(item: Item) -> dict[str, object]:
    """Return where an item stands (L5), with its score."""
    found: dict[str, int | None] = {
        "deadlines": item.suspend_deadline if item.outcome is None else None,
        f"outbox:{item.new.reply_group}": item.outbox_place,
        "finished": item.kept_until,
    }
    if item.status in INDEX_OF:
        found[INDEX_OF[item.status]] = _order(item) if item.status is Status.READY else item.at
    return {f"stands in {name}": score for name, score in found.items() if score is not None}


@lru_cache(maxsize=512)
def _normal(failure: str | None) -> str | None:
    return None if failure is None else json.dumps(json.loads(failure))
