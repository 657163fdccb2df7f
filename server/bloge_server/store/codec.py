"""Script replies to domain values."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.lifecycle import Outcome, Status
from bloge_server.domain.reports import Verdict
from bloge_server.domain.work_item import Acted, ItemPolicy, ItemState, Lease, StoredItem, StoredOutcome, SweepResult
from bloge_server.store.errors import unknown_schema
from bloge_server.telemetry.probe import Facts, Notable, Refusal

_LEASE_FIELDS = 10
_ITEM_HEAD = 5
_NONE = "-"
_STATUS, _WORKER, _RETRIES, _OUTCOME, _OUTCOME_AT = (
    ItemState._fields.index(name) for name in ("status", "worker_id", "retry_count", "outcome", "outcome_ms")
)
_GROUP = ItemPolicy._fields.index("reply_group")


@lru_cache(maxsize=1024)
def verdict(answer: bytes) -> Verdict:
    """Return the verdict of an answer: reason, status, then facts as name=value. Most answers are the same few."""
    reason, status, *facts = answer.decode().split(" ")
    told = dict(fact.split("=", 1) for fact in facts)
    return Verdict(
        reason=None if reason == "ACCEPTED" else Reason(reason),
        status="" if status == "-" else status,
        lease_ms=_number(told.get("lease")),
        retry_ms=_number(told.get("retry")),
        superseded_by=told.get("by", ""),
        superseded_ago_ms=_number(told.get("ago")),
        late_output_kept="late" in told,
        cancel_requested="cancel" in told,
    )


def refusals(report: str, claims: Iterable[object], verdicts: Iterable[Verdict]) -> list[Refusal]:
    """Return the reports of a batch that were not accepted.

    Args:
        report: of which kind.
        claims: `item/fence/nonce` of each.
        verdicts: on each.
    """
    refused = []
    for claim, verdict in zip(claims, verdicts, strict=True):
        if verdict.reason is not None:
            item_id, _, rest = str(claim).partition("/")
            refused.append(Refusal(report, item_id, rest.partition("/")[0], verdict.reason, verdict.superseded_by))
    return refused


def sweep_result(reply: Sequence[Any]) -> SweepResult:
    """Return what `sweep` did."""
    *counts, ended = reply
    return SweepResult(*counts)._replace(ended_executions=tuple(item_id.decode() for item_id in ended))


def leases(namespace: str, worker_topic: str, reply: Sequence[bytes]) -> list[Lease]:
    """Return the leases of a claim's reply."""
    nonce = reply[2].decode()
    found = []
    for at in range(3, len(reply), _LEASE_FIELDS):
        item_id, spec, payload, attempt, claims, fence, lease, left, timeout, progress = reply[at : at + _LEASE_FIELDS]
        name, number = item_id.decode(), fence.decode()
        token = LeaseToken(namespace, worker_topic, f"{name}/{number}/{nonce}")
        numbers = (int(attempt), int(claims), int(number), int(lease), int(left), int(timeout))
        found.append(Lease(token, spec, payload, *numbers, progress, name))
    return found


def outcome(namespace: str, worker_topic: str, reply: Sequence[bytes]) -> StoredOutcome:
    """Return the outcome of a reply made by `include/outcome_fields.lua`."""
    item_id, packed_policy, packed_state, spec, output, business_error, history, dead_reason = reply
    words = packed_state.decode().split(" ")  # only what an outcome tells: this runs for every item
    worker = words[_WORKER]
    group = packed_policy.split(b" ", _GROUP + 1)[_GROUP].decode()
    return StoredOutcome(
        namespace=namespace,
        worker_topic=worker_topic,
        item_id=item_id.decode(),
        kind=words[_OUTCOME],
        outcome_ms=int(words[_OUTCOME_AT]),
        status=words[_STATUS],
        retry_count=int(words[_RETRIES]),
        worker_id="" if worker == _NONE else worker,
        reply_group="" if group == _NONE else group,
        spec=spec,
        output=output,
        business_error=business_error,
        history=history,
        dead_reason=dead_reason.decode(),
        discarded=words[_STATUS] == "CANCELLED" and not policy(packed_policy).resumes_with_failure,
    )


def item(namespace: str, worker_topic: str, reply: Sequence[bytes]) -> StoredItem | None:
    """Return the record of a reply made by `get.lua`; None if there is no such item.

    Raises:
        RemoteWorkersError: UNKNOWN_SCHEMA.
    """
    item_id, status, *_ = reply
    if status == b"NOT_FOUND":
        return None
    if status == b"UNKNOWN_SCHEMA":
        raise unknown_schema(item_id.decode())
    lease_deadline, due, dead = reply[2:_ITEM_HEAD]
    rest = reply[_ITEM_HEAD:]
    fields = {name.decode(): value for name, value in zip(rest[::2], rest[1::2], strict=True)}
    return StoredItem(
        namespace=namespace,
        worker_topic=worker_topic,
        item_id=item_id.decode(),
        policy=policy(fields.pop("policy")),
        state=state(fields.pop("state")),
        fields=fields,
        lease_deadline_ms=_number(lease_deadline),
        due_ms=_number(due),
        dead_letter_ms=_number(dead),
    )


def acted(reply: Sequence[bytes]) -> Acted:
    """Return what became of an item that somebody acted on."""
    return Acted(*(word.decode() for word in reply))


def facts(events: Sequence[Any], spans: Sequence[Any], noted: Sequence[Any]) -> Facts:
    """Return what a script tells that it did (`include/telling.lua`)."""
    happened = [
        (_word(event), _word(word), count) for event, counts in _turns(events) for word, count in _turns(counts)
    ]
    notable = [
        Notable(_word(event), _word(word), item_id.decode(), worker.decode(), fence.decode(), spec)
        for event, word, item_id, worker, fence, spec in noted
    ]
    return Facts(happened, [(_word(span), _turns(counts)) for span, counts in _turns(spans)], notable)


def _turns(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield keys with their values, which stand in turn."""
    turns = iter(flat)
    return zip(turns, turns, strict=True)


@lru_cache(maxsize=1024)
def _word(text: bytes) -> str:
    return text.decode()


def policy(packed: bytes) -> ItemPolicy:
    """Return the policy that `include/record.lua` packs."""
    words = packed.decode().split(" ")
    schema, deadline, timeout, group, retries, backoff, losses, on_dead_letter, digest, enqueued, item_type = words
    return ItemPolicy(
        schema=schema,
        digest=digest,
        enqueued_ms=int(enqueued),
        item_type=item_type,
        suspend_deadline_ms=_packed_number(deadline),
        attempt_timeout_ms=int(timeout),
        max_retries=int(retries),
        backoff=backoff,
        max_lease_losses=int(losses),
        on_dead_letter=on_dead_letter,
        reply_group="" if group == _NONE else group,
    )


def state(packed: bytes) -> ItemState:
    """Return the state that `include/record.lua` packs."""
    words = packed.decode().split(" ")
    status, order, fence, nonce, worker, claimed, lease, received, decided, retries, losses, claims, kind, at = words
    return ItemState(
        status=Status(status),
        order=int(order),
        fence=_packed_number(fence) or 0,
        nonce=nonce,
        worker_id="" if worker == _NONE else worker,
        claimed_ms=_packed_number(claimed),
        lease_ms=_packed_number(lease),
        received=received == "1",
        decided=decided,
        retry_count=int(retries),
        lease_loss_count=int(losses),
        claim_count=int(claims),
        outcome=None if kind == _NONE else Outcome(kind),
        outcome_ms=_packed_number(at),
    )


def _packed_number(word: str) -> int | None:
    return None if word == _NONE else int(word)


def _number(text: str | bytes | None) -> int | None:
    return int(float(text)) if text else None
