"""Executions for `make bench-console`: many that wait, and one in the middle of a long journal."""

import json
from collections.abc import Iterator

import grpc

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1.execution_service_pb2_grpc import ExecutionServiceStub

TOPIC = "executions"
_NODES = 40
_EVENTS = 1_000
_BATCH = 250


def start(channel: grpc.Channel, count: int) -> str:
    """Start executions; return the id of the one that has a journal of 1,000 events."""
    stub = ExecutionServiceStub(channel)
    graph = json.dumps({"nodes": list(_nodes())}).encode()
    for _ in range(count):
        stub.Start(pb.StartRequest(graph_name="bench", graph=graph, worker_topic=TOPIC))
    started = stub.Start(pb.StartRequest(graph_name="bench", graph=graph, worker_topic=TOPIC, owner_id="bench"))
    token = started.lease.lease_token
    stub.OpenJournal(pb.OpenJournalRequest(lease_token=token))
    events = list(_events())
    for first in range(0, _EVENTS, _BATCH):
        stub.AppendEvents(
            pb.AppendEventsRequest(lease_token=token, first_sequence=first + 1, events=events[first : first + _BATCH])
        )
    return started.execution_id


def _nodes() -> Iterator[dict[str, object]]:
    """Yield nodes that stand four in a row, each behind two of the row before."""
    for index in range(_NODES):
        row = index // 4
        needs = [f"n{(row - 1) * 4 + each % 4}" for each in (index, index + 1)] if row else []
        yield {
            "id": f"n{index}",
            "operatorRef": "Infer",
            "kind": "REMOTE",
            "workerTopic": "topic-0",
            "dependsOn": needs,
        }


def _events() -> Iterator[pb.JournalEvent]:
    """Yield the stories of the nodes, and of the items of a foreach."""
    steps = (("NODE_STARTED", {"attempt": 1}), ("NODE_COMPLETED", {"output": {"label": "cat"}}))
    for number in range(_EVENTS):
        kind, data = steps[number % 2]
        node = number // 2
        path = f"n{node}" if node < _NODES else f"n1[{node}]/inner"
        event = pb.JournalEvent(type=kind, node_id=path, data=json.dumps(data).encode())
        event.event_time.GetCurrentTime()
        yield event
