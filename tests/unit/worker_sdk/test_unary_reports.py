"""Reports by unary calls, over real gRPC."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from unit.worker_sdk.scripted_server import PATIENCE

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_item_pb2, work_stream_pb2, worker_service_pb2_grpc
from bloge.remote_workers.v1 import worker_service_pb2 as calls
from bloge_worker._transport import GrpcTransport
from bloge_worker.config import Security, WorkerConfig

Answer = tuple[list[lease_pb2.Verdict], bool]


class Clerk(worker_service_pb2_grpc.WorkerServiceServicer):
    """Accepts what it is told, refuses leases named `gone`, and breaks on those named `broken`."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, str | bytes]] = []

    def _judge(self, request: Any, context: grpc.ServicerContext, response: Any) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        for report in request.reports:
            if report.lease_token == "broken":
                context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
            gone = report.lease_token == "gone"
            reason = error_reason_pb2.ERROR_REASON_SUPERSEDED if gone else error_reason_pb2.ERROR_REASON_UNSPECIFIED
            response.verdicts.add(reason=reason)
        return response

    def unserved(self, request: Any, context: Any) -> Any:
        """Refuse what makes no report."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "only reports are taken")

    Register = Claim = unserved

    def Work(self, request_iterator: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        """Refuse."""
        self.unserved(request_iterator, context)

    def Heartbeat(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        """Extend."""
        return self._judge(request, context, calls.HeartbeatResponse())

    def Complete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        """Take outputs."""
        return self._judge(request, context, calls.CompleteResponse())

    def Fail(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        """Take failures."""
        return self._judge(request, context, calls.FailResponse())

    def Release(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        """Take items back."""
        return self._judge(request, context, calls.ReleaseResponse())


@pytest.fixture
def clerk() -> Clerk:
    """Return who answers."""
    return Clerk()


@pytest.fixture
def address(clerk: Clerk, tmp_path: Path) -> Iterator[str]:
    """Return where the clerk sits."""
    server = grpc.server(ThreadPoolExecutor(4))
    worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(clerk, server)
    where = f"unix:{tmp_path}/clerk"
    server.add_insecure_port(where)
    server.start()
    yield where
    server.stop(grace=0).wait()


def report(address: str, *batches: work_stream_pb2.Reports, security: Security | None = None) -> Answer:
    """Make reports; return what came back."""
    answers: SimpleQueue[Answer] = SimpleQueue()
    transport = GrpcTransport(WorkerConfig(address=address, worker_id="w1", security=security))
    transport.report(list(batches), lambda verdicts, wholly: answers.put((verdicts, wholly)))
    return answers.get(timeout=PATIENCE)


def test_every_report_gets_the_verdict_of_its_call(address: str) -> None:
    """With its own id, whatever its kind: unary answers tell by their order."""
    batch = work_stream_pb2.Reports(
        heartbeats=[lease_pb2.HeartbeatReport(lease_token="a", report_id=7)],
        completes=[
            lease_pb2.CompleteReport(lease_token="b", report_id=8),
            lease_pb2.CompleteReport(lease_token="gone", report_id=9),
        ],
        fails=[lease_pb2.FailReport(lease_token="c", report_id=10, failure=work_item_pb2.Failure(type="E"))],
        releases=[lease_pb2.ReleaseReport(lease_token="d", report_id=11)],
    )
    other = work_stream_pb2.Reports(completes=[lease_pb2.CompleteReport(lease_token="e", report_id=12)])
    verdicts, wholly = report(address, batch, other)
    assert wholly
    superseded = error_reason_pb2.ERROR_REASON_SUPERSEDED
    assert [(verdict.report_id, verdict.reason) for verdict in verdicts] == [
        (7, 0),
        (8, 0),
        (9, superseded),
        (10, 0),
        (11, 0),
        (12, 0),
    ]


def test_what_was_judged_before_a_call_failed_counts(address: str) -> None:
    """The rest is made again later."""
    batch = work_stream_pb2.Reports(
        completes=[lease_pb2.CompleteReport(lease_token="a", report_id=1)],
        fails=[lease_pb2.FailReport(lease_token="broken", report_id=2)],
        releases=[lease_pb2.ReleaseReport(lease_token="c", report_id=3)],
    )
    verdicts, wholly = report(address, batch)
    assert [verdict.report_id for verdict in verdicts] == [1]
    assert not wholly


def test_without_a_server_no_report_is_judged(tmp_path: Path) -> None:
    """And the worker is told so, soon."""
    batch = work_stream_pb2.Reports(completes=[lease_pb2.CompleteReport(lease_token="a", report_id=1)])
    assert report(f"unix:{tmp_path}/nobody", batch) == ([], False)


def test_the_calls_show_who_the_worker_is(address: str, clerk: Clerk) -> None:
    """As the stream does."""
    batch = work_stream_pb2.Reports(completes=[lease_pb2.CompleteReport(lease_token="a", report_id=1)])
    report(address, batch, security=Security(token="secret", plaintext=True))
    assert clerk.metadata[0]["authorization"] == "Bearer secret"
