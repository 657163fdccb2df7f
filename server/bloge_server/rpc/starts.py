"""Starts of executions on their way in: checked, and made into work items."""

import hashlib
import json
import uuid
from collections.abc import Callable
from typing import NamedTuple

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.domain.execution import Facts
from bloge_server.domain.work_item import ClaimOrder, NewItem
from bloge_server.rpc.fields import Checks, check_size
from bloge_server.rpc.reports import clamp_lease_ms
from bloge_server.rpc.specs import check_trace_context, new_item

EXECUTION_IDS = uuid.UUID("7c1ad0f3-5a3b-5e0a-9c55-0b9e6f2f5d11")
"""The namespace of execution ids, as RFC 9562 means the word."""

_KEY_CHARS = 256
_OWNER_FAILURES = 10
"""How often an owner may fail, with growing pauses, before a person is needed."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1, 60
_HEAD_START_SECONDS = 2
"""How long whoever starts an execution to own it may take it before others do."""


class Start(NamedTuple):
    """A start that was checked."""

    namespace: str
    execution_id: str
    facts: Facts
    item_for: Callable[[str], NewItem]
    """Makes the execution's item for a topic."""
    order: ClaimOrder | None
    """How the caller wants to own it; None: it does not."""


def checked(request: pb.StartRequest, default_lease_ms: int, max_payload_bytes: int) -> Start:
    """Return what a request to start an execution asks for.

    Raises:
        RemoteWorkersError: INVALID_FIELD, or TOO_LARGE for graph and input together.
    """
    checks = Checks()
    namespace = checks.namespace(request.namespace)
    checks.name("graph_name", request.graph_name)
    checks.name("worker_topic", request.worker_topic)
    checks.text("business_key", request.business_key, _KEY_CHARS)
    checks.optional_name("request_id", request.request_id, "")
    checks.optional_name("owner_id", request.owner_id, "")
    check_trace_context(request, checks)
    graph = _json_object(checks, "graph", request.graph)
    given = _json_object(checks, "input", request.input or b"{}")
    checks.done()
    graph_hash = hashlib.sha256(graph).hexdigest()
    execution_id = execution_id_of(namespace, request)
    payload = _payload(graph, graph_hash, given, request.business_key)
    check_size("graph and input", len(payload), max_payload_bytes)

    def item_for(worker_topic: str) -> NewItem:
        spec = _spec(execution_id, worker_topic, request.graph_name, payload)
        if request.HasField("trace_context"):
            spec.trace_context.CopyFrom(request.trace_context)
        if request.owner_id:
            spec.start_delay.seconds = _HEAD_START_SECONDS
        return new_item(spec, checks, max_payload_bytes)

    facts = Facts(request.worker_topic, request.graph_name, graph_hash, request.business_key)
    return Start(namespace, execution_id, facts, item_for, _order(request, default_lease_ms))


def execution_id_of(namespace: str, request: pb.StartRequest) -> str:
    """Return the id of the execution that a request means: the same for the same business key, else request id."""
    if request.business_key:
        return str(uuid.uuid5(EXECUTION_IDS, f"key/{namespace}/{request.graph_name}/{request.business_key}"))
    if request.request_id:
        return str(uuid.uuid5(EXECUTION_IDS, f"request/{namespace}/{request.graph_name}/{request.request_id}"))
    return str(uuid.uuid4())


def _json_object(checks: Checks, path: str, text: bytes) -> bytes:
    """Check that a text is a JSON object; return it as it is, byte for byte."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        checks.wrong(path, "must be a JSON object")
    return text


def _payload(graph: bytes, graph_hash: str, given: bytes, business_key: str) -> bytes:
    """Write the payload of an execution's item; the graph stays as it came, so that its hash stays true."""
    rest = {"graphHash": graph_hash, "businessKey": business_key}
    members = json.dumps(rest, ensure_ascii=False, separators=(",", ":")).encode()
    return b'{"graph":' + graph + b',"input":' + given + b"," + members[1:]


def _spec(execution_id: str, worker_topic: str, graph_name: str, payload: bytes) -> work_item_pb2.WorkItemSpec:
    policy = work_item_pb2.RetryPolicy(attempts=_OWNER_FAILURES, strategy=work_item_pb2.BACKOFF_STRATEGY_EXPONENTIAL)
    policy.backoff.seconds = _FIRST_PAUSE_SECONDS
    policy.max_backoff.seconds = _LONGEST_PAUSE_SECONDS
    return work_item_pb2.WorkItemSpec(
        item_id=execution_id,
        worker_topic=worker_topic,
        payload=payload,
        item_type=work_item_pb2.WORK_ITEM_TYPE_EXECUTE_GRAPH,
        retry_policy=policy,
        execution_id=execution_id,
        operator_ref=graph_name,
    )


def _order(request: pb.StartRequest, default_lease_ms: int) -> ClaimOrder | None:
    if not request.owner_id:
        return None
    wanted = request.lease_duration if request.HasField("lease_duration") else None
    return ClaimOrder(request.owner_id, 1, clamp_lease_ms(wanted, default_lease_ms))
