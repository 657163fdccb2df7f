"""A server that says what a test tells it to, over real gRPC."""

import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import grpc

from bloge.remote_workers.v1 import lease_pb2, work_item_pb2, work_stream_pb2, worker_service_pb2_grpc
from bloge_worker._durations import duration_of

PATIENCE = 10.0
"""Seconds after which something that should have happened did not."""

END_OF_STREAM = work_stream_pb2.WorkRequest()
"""What a session receives last."""


@dataclass(frozen=True)
class End:
    """Ends a stream: with OK, or with a code and details."""

    code: grpc.StatusCode | None = None
    details: str = ""
    trailing: tuple[tuple[str, str | bytes], ...] = ()


@dataclass(eq=False)
class ServerSession:
    """The server's side of one `Work` stream."""

    received: SimpleQueue[work_stream_pb2.WorkRequest] = field(default_factory=SimpleQueue)
    outgoing: SimpleQueue[work_stream_pb2.WorkResponse | End] = field(default_factory=SimpleQueue)
    reports: defaultdict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    sequence: int = 0
    metadata: tuple[tuple[str, str | bytes], ...] = ()

    def expect(self, kind: str) -> Any:
        """Return the content of the next frame of a kind; frames of other kinds are passed over."""
        while True:
            frame = self._next(kind)
            found = frame.WhichOneof("frame")
            if found == kind:
                return getattr(frame, kind)
            assert found is not None, f"the stream ended before {kind} came"

    def expect_report(self, kind: str) -> Any:
        """Return the next report of a kind (`completes`, ...); reports of other kinds wait for their turn."""
        while not self.reports[kind]:
            frame = self.expect("reports")
            for each in ("heartbeats", "completes", "fails", "releases"):
                self.reports[each].extend(getattr(frame, each))
        return self.reports[kind].popleft()

    def expect_answer(self, ping_id: int) -> None:
        """Return once the worker has answered a ping, and so has taken all frames before it."""
        while self.expect("ping").answer != ping_id:
            pass

    def expect_end(self) -> None:
        """Return once the worker has ended its side."""
        while self._next("the end").WhichOneof("frame") is not None:
            pass

    def _next(self, wanted: str) -> work_stream_pb2.WorkRequest:
        try:
            return self.received.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError(f"{wanted} did not come") from None

    def welcome(self, **settings: float) -> work_stream_pb2.Hello:
        """Take Hello and answer it; settings are seconds, or numbers."""
        hello: work_stream_pb2.Hello = self.expect("hello")
        self.outgoing.put(work_stream_pb2.WorkResponse(welcome=welcome(**settings)))
        return hello

    def offer(self, *leases: lease_pb2.Lease) -> None:
        """Offer leases in one frame."""
        self.sequence += 1
        offers = work_stream_pb2.Offers(offer_sequence=self.sequence, leases=leases)
        self.outgoing.put(work_stream_pb2.WorkResponse(offers=offers))

    def judge(self, *verdicts: lease_pb2.Verdict) -> None:
        """Send verdicts."""
        self.outgoing.put(work_stream_pb2.WorkResponse(verdicts=work_stream_pb2.Verdicts(verdicts=verdicts)))

    def accept(self, *reports: Any) -> None:
        """Accept reports."""
        self.judge(*(lease_pb2.Verdict(report_id=report.report_id) for report in reports))

    def send(self, **frame: Any) -> None:
        """Send a frame by its field name."""
        self.outgoing.put(work_stream_pb2.WorkResponse(**frame))

    def end(self, code: grpc.StatusCode | None = None, details: str = "", **rest: Any) -> None:
        """End the stream."""
        self.outgoing.put(End(code, details, **rest))


class ScriptedServer(worker_service_pb2_grpc.WorkerServiceServicer):
    """A `WorkerService` on a unix socket or a loopback port; each `Work` call becomes a `ServerSession`."""

    def __init__(self, address: str) -> None:
        self.sessions: SimpleQueue[ServerSession] = SimpleQueue()
        self._open: list[ServerSession] = []
        self._server = grpc.server(ThreadPoolExecutor(16))
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(address)
        self.address = address if address.startswith("unix:") else f"127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for session in self._open:
            session.end()
        self._server.stop(grace=0).wait()

    def next_session(self) -> ServerSession:
        """Return the next stream that a worker opens."""
        try:
            return self.sessions.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError("no worker came") from None

    def unserved(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuse the calls that a streaming worker does not make."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "only Work is scripted")

    Register = Claim = Heartbeat = Complete = Fail = Release = unserved

    def Work(  # noqa: N802 - the name is the protocol's
        self, request_iterator: Iterator[work_stream_pb2.WorkRequest], context: grpc.ServicerContext
    ) -> Iterator[work_stream_pb2.WorkResponse]:
        """Speak as the test says."""
        session = ServerSession(metadata=tuple(context.invocation_metadata()))
        self._open.append(session)
        self.sessions.put(session)
        threading.Thread(target=_receive, args=(request_iterator, session), daemon=True).start()
        while not isinstance(frame := session.outgoing.get(), End):
            yield frame
        if frame.code is not None:
            context.set_trailing_metadata(frame.trailing)
            context.abort(frame.code, frame.details)


def _receive(requests: Iterator[work_stream_pb2.WorkRequest], session: ServerSession) -> None:
    try:
        for frame in requests:
            session.received.put(frame)
    except grpc.RpcError:
        pass
    session.received.put(END_OF_STREAM)
    session.end()


def welcome(
    *,
    lease: float = 30.0,
    heartbeat: float | None = None,
    offer_lease: float = 5.0,
    ping: float = 10.0,
    silence: float = 30.0,
    max_payload_bytes: float = 1024 * 1024,
    max_batch_size: float = 500,
    held_leases: Any = (),
) -> work_stream_pb2.Welcome:
    """Return a welcome with the defaults of the contract."""
    return work_stream_pb2.Welcome(
        session_id="session",
        lease_duration=duration_of(lease),
        heartbeat_interval=duration_of(lease / 3 if heartbeat is None else heartbeat),
        offer_lease_duration=duration_of(offer_lease),
        ping_interval=duration_of(ping),
        silence_limit=duration_of(silence),
        max_payload_bytes=int(max_payload_bytes),
        max_batch_size=int(max_batch_size),
        server_version="scripted",
        held_leases=held_leases,
    )


def lease_of(
    item_id: str = "item-1",
    *,
    topic: str = "topic",
    fence: int = 1,
    payload: bytes = b"{}",
    operator: str = "Operator",
    duration: float = 30.0,
    remaining: float | None = None,
    attempt: int = 1,
    progress: bytes = b"",
    attempt_timeout: float | None = None,
) -> lease_pb2.Lease:
    """Return a lease on an item."""
    spec = work_item_pb2.WorkItemSpec(item_id=item_id, worker_topic=topic, payload=payload, operator_ref=operator)
    lease = lease_pb2.Lease(
        lease_token=f"{topic}/{item_id}/{fence}",
        spec=spec,
        attempt=attempt,
        claim_count=attempt,
        lease_duration=duration_of(duration),
        fence=fence,
        namespace="default",
        progress=progress,
    )
    if remaining is not None:
        lease.time_remaining.CopyFrom(duration_of(remaining))
    if attempt_timeout is not None:
        lease.attempt_timeout.CopyFrom(duration_of(attempt_timeout))
    return lease
