"""Streams over gRPC: the only module that imports grpc.

The synchronous API, in threads: heartbeats must not depend on the user's event loop, nor on how many loops there are.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol, cast

import grpc

from bloge.remote_workers.status import from_rpc_error
from bloge.remote_workers.v1 import lease_pb2, work_stream_pb2, worker_service_pb2, worker_service_pb2_grpc
from bloge_worker._effects import StreamEnd
from bloge_worker.config import Security, WorkerConfig

_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_CALL_TIMEOUT = 5.0
"""Seconds that a unary call may take."""

_Metadata = tuple[tuple[str, str | bytes], ...]

_REFUSED = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

_OPTIONS = [
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    # Each session gets a connection of its own: a new one may reach another server behind the same address, and none
    # waits for the reconnect timer of one that failed.
    ("grpc.use_local_subchannel_pool", 1),
]

_log = logging.getLogger("bloge_worker")

OnFrame = Callable[[int, work_stream_pb2.WorkResponse], None]
OnEnd = Callable[[int, StreamEnd], None]
OnVerdicts = Callable[[list[lease_pb2.Verdict], bool], None]
"""Takes the verdicts that came, and whether all did."""


class Stream(Protocol):
    """One session's stream. No method blocks."""

    def send(self, frame: work_stream_pb2.WorkRequest) -> None:
        """Send a frame after those before."""

    def close(self) -> None:
        """Send nothing more; the server ends the stream in good order."""

    def abort(self) -> None:
        """Cut the stream now."""


class Transport(Protocol):
    """Opens streams."""

    def open(self, number: int, on_frame: OnFrame, on_end: OnEnd) -> Stream:
        """Open the stream of a session.

        Args:
            number: the session's number, passed to the callbacks.
            on_frame: called with each frame that arrives, on a thread of the stream.
            on_end: called once, after the last frame, however the stream ends.
        """
        ...

    def report(self, batches: list[work_stream_pb2.Reports], on_verdicts: OnVerdicts) -> None:
        """Make reports by unary calls.

        Args:
            batches: the reports, made one batch after the other.
            on_verdicts: called once, on a thread of the calls, with the verdicts up to the first call that failed.
        """
        ...


class GrpcTransport:
    """Opens `Work` streams to one server.

    Args:
        config: address and security.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config

    def open(self, number: int, on_frame: OnFrame, on_end: OnEnd) -> "GrpcStream":
        """Open the stream of a session on a new connection."""
        return GrpcStream(number, self._config, on_frame, on_end)

    def report(self, batches: list[work_stream_pb2.Reports], on_verdicts: OnVerdicts) -> None:
        """Make reports by unary calls on a new connection."""
        calls = partial(self._report, batches, on_verdicts)
        threading.Thread(target=calls, name="bloge-unary-reports", daemon=True).start()

    def _report(self, batches: list[work_stream_pb2.Reports], on_verdicts: OnVerdicts) -> None:
        verdicts: list[lease_pb2.Verdict] = []
        try:
            with _open_channel(self._config) as channel:
                for batch in batches:
                    verdicts.extend(_report_batch(channel, batch, _metadata(self._config.security)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the reports are kept and made again
            _log.debug("reports by unary calls failed", exc_info=error)
            on_verdicts(verdicts, False)  # noqa: FBT003 - a callback
        else:
            on_verdicts(verdicts, True)  # noqa: FBT003 - a callback


class GrpcStream:
    """One `Work` call and the threads that serve it. Both threads end with the call."""

    def __init__(self, number: int, config: WorkerConfig, on_frame: OnFrame, on_end: OnEnd) -> None:
        self._number = number
        self._config = config
        self._on_frame = on_frame
        self._on_end = on_end
        self._outgoing: SimpleQueue[work_stream_pb2.WorkRequest | None] = SimpleQueue()
        self._call: grpc.Call | None = None
        self._aborted = threading.Event()
        threading.Thread(target=self._read, name=f"bloge-session-{number}", daemon=True).start()

    def send(self, frame: work_stream_pb2.WorkRequest) -> None:
        """Send a frame after those before."""
        self._outgoing.put(frame)

    def close(self) -> None:
        """Send nothing more; the server ends the stream in good order."""
        self._outgoing.put(None)

    def abort(self) -> None:
        """Cut the stream now."""
        self._aborted.set()
        self._outgoing.put(None)
        if self._call is not None:
            self._call.cancel()

    def _read(self) -> None:
        try:
            with _open_channel(self._config) as channel:
                end = self._read_all(channel)
        except Exception as error:  # noqa: BLE001 - unreadable key files, a malformed address: the user sees why and may mend it
            end = StreamEnd("UNAVAILABLE", f"{type(error).__name__}: {error}")
        finally:
            # The thread that takes frames waits here, and would wait for ever.
            self._outgoing.put(None)
        self._on_end(self._number, end)

    def _read_all(self, channel: grpc.Channel) -> StreamEnd:
        stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
        call = stub.Work(iter(self._outgoing.get, None), metadata=_metadata(self._config.security))
        self._call = cast("grpc.Call", call)
        if self._aborted.is_set():
            self._call.cancel()
        try:
            for frame in call:
                self._on_frame(self._number, frame)
        except grpc.RpcError as error:
            return _stream_end(error)
        return StreamEnd("OK", "the server ended the stream")


def _report_batch(
    channel: grpc.Channel, batch: work_stream_pb2.Reports, metadata: _Metadata
) -> Iterator[lease_pb2.Verdict]:
    """Yield the verdicts on a batch, each with the id of its report."""
    stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
    calls: list[tuple[Callable[..., Any], Any]] = [
        (stub.Heartbeat, worker_service_pb2.HeartbeatRequest(reports=batch.heartbeats)),
        (stub.Complete, worker_service_pb2.CompleteRequest(reports=batch.completes)),
        (stub.Fail, worker_service_pb2.FailRequest(reports=batch.fails)),
        (stub.Release, worker_service_pb2.ReleaseRequest(reports=batch.releases)),
    ]
    for call, request in calls:
        if request.reports:
            answer = call(request, timeout=_CALL_TIMEOUT, metadata=metadata)
            for report, verdict in zip(request.reports, answer.verdicts, strict=True):
                verdict.report_id = report.report_id
                yield verdict


def _stream_end(error: grpc.RpcError) -> StreamEnd:
    code = cast("grpc.Call", error).code()
    told = from_rpc_error(error)
    message = str(told) if told.fields else told.message
    return StreamEnd(code.name, message, code in _REFUSED, told.retry_delay_seconds or 0.0)


def _open_channel(config: WorkerConfig) -> grpc.Channel:
    security = config.security
    if security is None or security.plaintext:
        return grpc.insecure_channel(config.address, _OPTIONS)
    return grpc.secure_channel(config.address, _credentials(security), _OPTIONS)


def _credentials(security: Security) -> grpc.ChannelCredentials:
    """Read the files anew for each session, so that renewed certificates are taken up."""
    files = (security.ca_file, security.key_file, security.certificate_file)
    return grpc.ssl_channel_credentials(*(None if file is None else file.read_bytes() for file in files))


def _metadata(security: Security | None) -> _Metadata:
    token = None if security is None else _token(security)
    return (("authorization", f"Bearer {token}"),) if token else ()


def _token(security: Security) -> str | None:
    return security.token if security.token_file is None else security.token_file.read_text().strip()
