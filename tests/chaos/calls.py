"""Calls as every client of a run makes them: through either server, recorded, with the facts validators need."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, cast

import grpc

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.status import DETAILS_KEY, from_rpc_error
from bloge.remote_workers.v1 import lease_pb2, work_item_pb2
from chaos.layout import CHANNEL_OPTIONS

TRANSPORT = "grpc."
"""What the name of an error begins with that gRPC itself raised: nobody answered."""


class Servers:
    """Channels to every server, used in turn after a failure.

    Args:
        addresses: where the servers are.
        first: which of them to begin with.
    """

    def __init__(self, addresses: Sequence[str], first: int = 0) -> None:
        self._channels = [grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) for address in addresses]
        self._turns = itertools.cycle(self._channels[first:] + self._channels[:first])
        self.channel = next(self._turns)

    def turn(self) -> None:
        """Use the next server from now on."""
        self.channel = next(self._turns)

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels:
            await channel.close()


def error_name(error: grpc.RpcError) -> str:
    """Return the contract's reason, or `grpc.CODE` for an error that is not the server's."""
    # gRPC yields (key, value) tuples here, whatever its stubs say.
    trailing = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    if DETAILS_KEY in dict(trailing):
        return from_rpc_error(error).reason.value
    return f"{TRANSPORT}{error.code().name}"


def token_name(lease_token: str) -> str:
    """Return what tells a token from any other without giving its secret away."""
    fence, nonce = lease_token.split("/")[-2:]
    return f"{fence}/{nonce[:8]}"


def lease_facts(lease: lease_pb2.Lease, lease_seconds: float | None = None) -> dict[str, Any]:
    """Return what a history keeps of a lease; `lease_seconds` replaces its duration, for an offer."""
    timeout = lease.attempt_timeout.ToMilliseconds() / 1000 if lease.HasField("attempt_timeout") else None
    return {
        "item": lease.spec.item_id,
        "fence": lease.fence,
        "token": token_name(lease.lease_token),
        "lease_s": lease.lease_duration.ToMilliseconds() / 1000 if lease_seconds is None else lease_seconds,
        "timeout_s": timeout,
        "attempt": lease.attempt,
        "claim_count": lease.claim_count,
    }


NOT_JUDGED = frozenset({Reason.STORE_UNAVAILABLE, Reason.STORE_FULL, Reason.UNKNOWN_SCHEMA, Reason.INTERNAL})
"""Verdicts that say nothing about what the report did: it is to be repeated."""


def verdict_facts(verdict: lease_pb2.Verdict) -> dict[str, Any]:
    """Return what a history keeps of a verdict; an `error` for one that does not tell what the report did."""
    reason = Reason.from_number(verdict.reason)
    if reason in NOT_JUDGED:
        return {"error": reason.value}
    facts: dict[str, Any] = {
        "reason": "ACCEPTED" if reason is None else reason.value,
        "status": work_item_pb2.WorkItemStatus.Name(verdict.status).removeprefix("WORK_ITEM_STATUS_"),
    }
    if verdict.HasField("lease_duration"):
        facts["lease_s"] = verdict.lease_duration.ToMilliseconds() / 1000
    if verdict.HasField("retry_delay"):
        facts["retry_s"] = verdict.retry_delay.ToMilliseconds() / 1000
    if verdict.superseded_by:
        facts["by"] = verdict.superseded_by
    if verdict.late_output_kept:
        facts["late_kept"] = True
    return facts


def outcome_facts(outcome: work_item_pb2.Outcome) -> dict[str, Any]:
    """Return what a history keeps of an outcome."""
    return {
        "kind": work_item_pb2.OutcomeKind.Name(outcome.kind).removeprefix("OUTCOME_KIND_"),
        "output": outcome.output.decode(errors="replace"),
        "error": outcome.failure.type,
        "business": outcome.business_error.code,
        "retry_count": outcome.retry_count,
        "worker": outcome.worker_id,
        "at_ms": outcome.outcome_time.ToMilliseconds(),
    }


def final_facts(item: work_item_pb2.WorkItem) -> dict[str, Any]:
    """Return what a history keeps of an item as it stands at the end."""
    return {
        "status": work_item_pb2.WorkItemStatus.Name(item.status).removeprefix("WORK_ITEM_STATUS_"),
        "fence": item.fence,
        "retry_count": item.retry_count,
        "lease_loss_count": item.lease_loss_count,
        "replay_count": item.replay_count,
        "dead_reason": work_item_pb2.DeadLetterReason.Name(item.dead_letter_reason),
        "deadline_ms": item.suspend_deadline.ToMilliseconds() if item.HasField("suspend_deadline") else None,
        "outcome": outcome_facts(item.outcome) if item.HasField("outcome") else None,
        "late_fences": [late.fence for late in item.late_outputs],
        "attempts": [_attempt_facts(attempt) for attempt in item.attempts],
    }


def _attempt_facts(attempt: work_item_pb2.Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.attempt,
        "fence": attempt.fence,
        "worker": attempt.worker_id,
        "end": work_item_pb2.AttemptEnd.Name(attempt.end).removeprefix("ATTEMPT_END_"),
        "claim_ms": attempt.claim_time.ToMilliseconds(),
        "end_ms": attempt.end_time.ToMilliseconds() if attempt.HasField("end_time") else None,
        "due_ms": attempt.due_time.ToMilliseconds() if attempt.HasField("due_time") else None,
        "message": attempt.failure.message,
    }
