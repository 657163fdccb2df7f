"""What a replay makes of payloads: another one in its place, or a patch on each."""

import json
from collections.abc import Callable, Sequence

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.domain.merge_patch import patched
from bloge_server.rpc.fields import Checks, check_size
from bloge_server.store.redis_store import RedisStore

Change = Callable[[bytes], bytes]
"""Returns the new payload of an item that had this one; raises RemoteWorkersError if it cannot have any."""

_AT_ONCE = 20
"""Items read with their payloads, which may be large."""


def change_of(checks: Checks, request: pb.ReplayDeadLettersRequest, max_payload_bytes: int) -> Change | None:
    """Return what a request does to payloads, checked; None if it leaves them alone.

    Raises:
        RemoteWorkersError: TOO_LARGE for a new payload.
    """
    if request.HasField("payload"):
        return _replaced(checks, request, max_payload_bytes)
    if not request.payload_patch:
        return None
    try:
        patch = json.loads(request.payload_patch)
    except ValueError as error:
        checks.wrong("payload_patch", f"must be JSON: {error}")
        return None

    def change(payload: bytes) -> bytes:
        try:
            new = patched(payload, patch)
        except ValueError:
            raise RemoteWorkersError(Reason.INVALID_FIELD, "its payload is no JSON, which a patch needs") from None
        check_size("payload", len(new), max_payload_bytes)
        return new

    return change


def _replaced(checks: Checks, request: pb.ReplayDeadLettersRequest, max_payload_bytes: int) -> Change:
    if len(request.filter.item_ids) != 1:
        checks.wrong("payload", "may be given only with exactly one filter.item_ids; payload_patch changes many")
    if request.payload_patch:
        checks.wrong("payload_patch", "cannot be given together with payload")
    payload = request.payload
    check_size("payload", len(payload), max_payload_bytes)
    return lambda _: payload


async def changed(
    store: RedisStore, place: tuple[str, str], item_ids: Sequence[str], change: Change
) -> list[bytes | RemoteWorkersError]:
    """Return the new payload of each item, or why it can have none."""
    found: list[bytes | RemoteWorkersError] = []
    for start in range(0, len(item_ids), _AT_ONCE):
        for stored in await store.get(*place, item_ids[start : start + _AT_ONCE]):
            try:
                found.append(change(stored.fields["payload"] if stored else b""))
            except RemoteWorkersError as error:
                found.append(error)
    return found
