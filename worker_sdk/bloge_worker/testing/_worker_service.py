"""The fake control plane's `WorkerService`: each call takes a turn at the lease table and says what it answered."""

import secrets
import threading
from collections.abc import Iterator

import grpc

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import lease_pb2, work_stream_pb2, worker_service_pb2, worker_service_pb2_grpc
from bloge_worker._durations import duration_of, seconds_of
from bloge_worker.testing._boundary import refuse, unary
from bloge_worker.testing._checks import MAX_BATCH, MAX_CAPABILITIES, MAX_HELD, Checks
from bloge_worker.testing._lease_table import ClaimOrder, Topic
from bloge_worker.testing._reporting import Report, clamp_lease
from bloge_worker.testing._session import FakeSession
from bloge_worker.testing._state import State

_LONGEST_WAIT = 60.0


class FakeWorkerService(worker_service_pb2_grpc.WorkerServiceServicer):
    """Claims, reports and streams.

    Args:
        state: what the services share.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    @unary
    def Register(self, request: worker_service_pb2.RegisterRequest) -> worker_service_pb2.RegisterResponse:
        """Tell a worker the settings."""
        checks = Checks()
        checks.namespace(request.namespace)
        checks.worker(request)
        checks.done()
        lease = self._state.timing.lease
        return worker_service_pb2.RegisterResponse(
            lease_duration=duration_of(lease),
            heartbeat_interval=duration_of(lease / 3),
            max_payload_bytes=self._state.table.reporting.max_payload_bytes,
            max_batch_size=MAX_BATCH,
            server_version="fake",
        )

    @unary
    def Claim(self, request: worker_service_pb2.ClaimRequest) -> worker_service_pb2.ClaimResponse:
        """Claim items, waiting for the first if asked to."""
        checks = Checks()
        topic = (checks.namespace(request.namespace), checks.name("worker_topic", request.worker_topic))
        checks.name("worker_id", request.worker_id)
        if request.request_id:
            checks.name("request_id", request.request_id)
        checks.number("max_items", request.max_items or 1, 1, MAX_BATCH)
        wait = checks.duration("wait_timeout", request.wait_timeout, _LONGEST_WAIT)
        checks.done()
        wanted = request.lease_duration if request.HasField("lease_duration") else None
        order = ClaimOrder(
            worker_id=request.worker_id,
            max_items=request.max_items or 1,
            lease=self._state.timing.lease if wanted is None else clamp_lease(seconds_of(wanted)),
            request_id=request.request_id,
        )
        claimed = self._state.wait_for(lambda now: self._leases(topic, order, now), wait)
        return worker_service_pb2.ClaimResponse(leases=claimed)

    def _leases(self, topic: Topic, order: ClaimOrder, now: float) -> list[lease_pb2.Lease]:
        return [record.lease(now) for record in self._state.table.claim(topic, order, now)]

    @unary
    def Heartbeat(self, request: worker_service_pb2.HeartbeatRequest) -> worker_service_pb2.HeartbeatResponse:
        """Extend leases."""
        return worker_service_pb2.HeartbeatResponse(verdicts=self._judge(list(request.reports)))

    @unary
    def Complete(self, request: worker_service_pb2.CompleteRequest) -> worker_service_pb2.CompleteResponse:
        """Take outputs."""
        return worker_service_pb2.CompleteResponse(verdicts=self._judge(list(request.reports)))

    @unary
    def Fail(self, request: worker_service_pb2.FailRequest) -> worker_service_pb2.FailResponse:
        """Take failures and business errors."""
        return worker_service_pb2.FailResponse(verdicts=self._judge(list(request.reports)))

    @unary
    def Release(self, request: worker_service_pb2.ReleaseRequest) -> worker_service_pb2.ReleaseResponse:
        """Take items back."""
        return worker_service_pb2.ReleaseResponse(verdicts=self._judge(list(request.reports)))

    def Work(
        self, request_iterator: Iterator[work_stream_pb2.WorkRequest], context: grpc.ServicerContext
    ) -> Iterator[work_stream_pb2.WorkResponse]:
        """Run one session."""
        try:
            session = self._open(request_iterator)
            threading.Thread(target=self._read, args=(session, request_iterator), daemon=True).start()
            context.add_callback(lambda: self._state.end(session))
            yield from self._frames(session)
        except RemoteWorkersError as error:
            refuse(context, error)

    def _judge(self, reports: list[Report]) -> list[lease_pb2.Verdict]:
        checks = Checks()
        checks.number("reports", len(reports), 1, MAX_BATCH)
        checks.done()
        with self._state.turn() as now:
            return [self._state.table.reporting.take(report, now) for report in reports]

    def _open(self, requests: Iterator[work_stream_pb2.WorkRequest]) -> FakeSession:
        first = next(requests, work_stream_pb2.WorkRequest())
        if first.WhichOneof("frame") != "hello":
            raise RemoteWorkersError(Reason.PROTOCOL_VIOLATION, "the first frame must be Hello")
        hello, checks = first.hello, Checks()
        checks.namespace(hello.namespace, "hello.namespace")
        checks.worker(hello, "hello.")
        checks.number("hello.held_lease_tokens", len(hello.held_lease_tokens), 0, MAX_HELD)
        checks.number("hello.capabilities", len(hello.capabilities), 0, MAX_CAPABILITIES)
        checks.done()
        return self._state.open_session(hello, secrets.token_hex(8))

    def _read(self, session: FakeSession, requests: Iterator[work_stream_pb2.WorkRequest]) -> None:
        try:
            for frame in requests:
                with self._state.turn() as now:
                    session.take(frame, now)
        except RemoteWorkersError as error:
            session.error = error
        except grpc.RpcError:
            pass  # The call has ended.
        self._state.end(session)

    def _frames(self, session: FakeSession) -> Iterator[work_stream_pb2.WorkResponse]:
        while (frame := self._state.next_frame(session)) is not None:
            yield frame
        if session.error is not None:
            raise session.error
