"""Topics over gRPC: counts, pause and resume, lists, the audit; and the audit from the command line."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from redis import Redis

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.status import from_rpc_error
from bloge.remote_workers.v1 import (
    ops_service_pb2,
    ops_service_pb2_grpc,
    work_item_pb2,
    work_item_service_pb2,
    work_item_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from support.store_process import running_store


@pytest.fixture
def channel(server_address: str) -> grpc.Channel:
    """Return a channel to the shared server."""
    return grpc.insecure_channel(server_address)


def _enqueue(channel: grpc.Channel, namespace: str, topic: str, *ids: str) -> None:
    specs = [work_item_pb2.WorkItemSpec(item_id=item_id, worker_topic=topic) for item_id in ids]
    stub = work_item_service_pb2_grpc.WorkItemServiceStub(channel)
    stub.Enqueue(work_item_service_pb2.EnqueueRequest(namespace=namespace, items=specs))


def _claim(channel: grpc.Channel, namespace: str, topic: str) -> int:
    stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
    request = worker_service_pb2.ClaimRequest(namespace=namespace, worker_topic=topic, worker_id="w")
    return len(stub.Claim(request).leases)


def test_topics_are_listed_page_by_page(channel: grpc.Channel, namespace: str) -> None:
    """Each topic once, by name, with its counts."""
    for topic in ("b", "a", "c"):
        _enqueue(channel, namespace, topic, "1", "2")
    _claim(channel, namespace, "b")
    ops = ops_service_pb2_grpc.OpsServiceStub(channel)
    first = ops.ListTopics(ops_service_pb2.ListTopicsRequest(namespace=namespace, page_size=2))
    rest = ops.ListTopics(
        ops_service_pb2.ListTopicsRequest(namespace=namespace, page_size=2, page_token=first.next_page_token)
    )
    seen = [(topic.worker_topic, topic.ready_count, topic.claimed_count) for topic in [*first.topics, *rest.topics]]
    assert seen == [("a", 2, 0), ("b", 1, 1), ("c", 2, 0)]
    assert not rest.next_page_token


def test_a_paused_topic_gives_nothing(channel: grpc.Channel, namespace: str) -> None:
    """Pausing stops claims, resuming allows them; both may be repeated."""
    _enqueue(channel, namespace, "t", "1")
    ops = ops_service_pb2_grpc.OpsServiceStub(channel)
    for _ in range(2):
        ops.PauseTopic(ops_service_pb2.PauseTopicRequest(namespace=namespace, worker_topic="t"))
    assert ops.GetTopic(ops_service_pb2.GetTopicRequest(namespace=namespace, worker_topic="t")).topic.paused
    assert _claim(channel, namespace, "t") == 0
    ops.ResumeTopic(ops_service_pb2.ResumeTopicRequest(namespace=namespace, worker_topic="t"))
    assert _claim(channel, namespace, "t") == 1


def test_a_topics_limits_are_set(channel: grpc.Channel, namespace: str) -> None:
    """A topic's own limits are shown and hold; what is not named stays as it is; -1 gives a limit back."""
    ops = ops_service_pb2_grpc.OpsServiceStub(channel)
    keep_few = ops_service_pb2.ConfigureTopicRequest(
        namespace=namespace,
        worker_topic="t",
        backlog_limit=1,
        dead_letter_limit=7,
        dead_letter_policy=ops_service_pb2.DEAD_LETTER_POLICY_DISCARD_OLDEST,
    )
    topic = ops.ConfigureTopic(keep_few).topic
    assert (topic.backlog_limit, topic.dead_letter_limit) == (1, 7)
    assert topic.dead_letter_policy == ops_service_pb2.DEAD_LETTER_POLICY_DISCARD_OLDEST
    _enqueue(channel, namespace, "t", "1", "2")
    assert ops.GetTopic(ops_service_pb2.GetTopicRequest(namespace=namespace, worker_topic="t")).topic.ready_count == 1
    back = ops_service_pb2.ConfigureTopicRequest(namespace=namespace, worker_topic="t", backlog_limit=-1)
    topic = ops.ConfigureTopic(back).topic
    assert (topic.backlog_limit, topic.dead_letter_limit) == (0, 7)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"backlog_limit": -2}, "backlog_limit"),
        ({"dead_letter_limit": 2_000_000_000}, "dead_letter_limit"),
        ({"dead_letter_policy": 9}, "dead_letter_policy"),
        ({}, "backlog_limit"),
    ],
)
def test_wrong_limits_are_refused(channel: grpc.Channel, namespace: str, wrong: dict[str, int], field: str) -> None:
    """The refusal names the field."""
    request = ops_service_pb2.ConfigureTopicRequest(namespace=namespace, worker_topic="t", **wrong)  # type: ignore[arg-type]  # names of fields
    with pytest.raises(grpc.RpcError) as refused:
        ops_service_pb2_grpc.OpsServiceStub(channel).ConfigureTopic(request)
    (violation,) = from_rpc_error(refused.value).fields
    assert violation.field == field


def test_an_unknown_topic_is_told(channel: grpc.Channel, namespace: str) -> None:
    """Pausing a topic that never was is a mistake, not a success."""
    ops = ops_service_pb2_grpc.OpsServiceStub(channel)
    with pytest.raises(grpc.RpcError) as refused:
        ops.PauseTopic(ops_service_pb2.PauseTopicRequest(namespace=namespace, worker_topic="nowhere"))
    assert from_rpc_error(refused.value).reason is Reason.NOT_FOUND


def test_items_are_listed_by_status(channel: grpc.Channel, namespace: str) -> None:
    """Open items are listed in the order of their index, without payloads."""
    _enqueue(channel, namespace, "t", "1", "2", "3")
    ops = ops_service_pb2_grpc.OpsServiceStub(channel)
    request = ops_service_pb2.ListWorkItemsRequest(
        namespace=namespace, worker_topic="t", status=work_item_pb2.WORK_ITEM_STATUS_READY, page_size=2
    )
    first = ops.ListWorkItems(request)
    request.page_token = first.next_page_token
    rest = ops.ListWorkItems(request)
    assert [item.item.item_id for item in [*first.items, *rest.items]] == ["1", "2", "3"]


def test_the_audit_streams_its_steps(channel: grpc.Channel, namespace: str) -> None:
    """A sound topic has no findings, and the last message says that it is the last."""
    _enqueue(channel, namespace, "t", *map(str, range(10)))
    ops = ops_service_pb2_grpc.OpsServiceStub(channel)
    messages = list(ops.Audit(ops_service_pb2.AuditRequest(namespace=namespace)))
    assert messages[-1].done
    assert messages[-1].item_count >= 10
    assert not [finding for message in messages for finding in message.findings]


def test_the_audit_runs_from_the_command_line(tmp_path: Path) -> None:
    """Without findings it exits 0; an orphan makes it exit 1, and a repair 0 again."""
    with running_store(tmp_path) as url:
        command = [sys.executable, "-m", "bloge_server", "audit", "--redis-url", url]
        assert subprocess.run(command, check=False).returncode == 0
        with Redis.from_url(url) as client:
            client.sadd("bloge:{default}:topics", "t")
            client.zadd("bloge:{default/t/t}:ready", {"ghost": 1})
        found = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (found.returncode, "no record, but stands in ready" in found.stdout) == (1, True)
        assert subprocess.run([*command, "--repair"], check=False).returncode == 0
        assert subprocess.run(command, check=False).returncode == 0
