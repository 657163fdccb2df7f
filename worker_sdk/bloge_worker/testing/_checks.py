"""Checks requests to the fake control plane, and tells every field that is wrong."""

import re

from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers.errors import FieldViolation, Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_stream_pb2, worker_service_pb2
from bloge_worker._durations import seconds_of

MAX_BATCH, MAX_TOPICS, MAX_HELD, MAX_CAPABILITIES, MAX_TEXT = 500, 64, 10_000, 64, 128
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_DAY = 86_400.0


class Checks:
    """What is wrong with a request so far."""

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []

    def wrong(self, path: str, description: str, *, unless: bool = False) -> None:
        """Note that a field is wrong, unless it is not."""
        if not unless:
            self._violations.append(FieldViolation(path, description))

    def name(self, path: str, value: str) -> str:
        """Check a name that must be there."""
        self.wrong(path, "must be 1 to 128 of A-Z a-z 0-9 . _ -", unless=bool(_NAME.fullmatch(value)))
        return value

    def namespace(self, value: str, path: str = "namespace") -> str:
        """Check a namespace; empty means `default`."""
        return self.name(path, value or "default")

    def number(self, path: str, value: float, least: float, most: float) -> None:
        """Check the range of a number."""
        self.wrong(path, f"must be {least:g} to {most:g}, got {value:g}", unless=least <= value <= most)

    def duration(self, path: str, value: Duration, most: float) -> float:
        """Check a duration; return it in seconds."""
        self.number(path, seconds_of(value), 0, most)
        return seconds_of(value)

    def worker(self, message: worker_service_pb2.RegisterRequest | work_stream_pb2.Hello, path: str = "") -> None:
        """Check how a worker announces itself."""
        self.name(f"{path}worker_id", message.worker_id)
        self.number(f"{path}worker_topics", len(message.worker_topics), 1, MAX_TOPICS)
        for index, name in enumerate(message.worker_topics):
            self.name(f"{path}worker_topics[{index}]", name)
        self.number(f"{path}sdk", len(message.sdk), 0, MAX_TEXT)

    def spec(self, path: str, spec: pb.WorkItemSpec) -> None:
        """Check what an enqueuer describes."""
        self.name(f"{path}item_id", spec.item_id)
        self.name(f"{path}worker_topic", spec.worker_topic)
        is_node = spec.item_type in (pb.WORK_ITEM_TYPE_UNSPECIFIED, pb.WORK_ITEM_TYPE_EXECUTE_NODE)
        self.wrong(f"{path}item_type", "the fake control plane knows EXECUTE_NODE only", unless=is_node)
        self.number(f"{path}priority", spec.priority, 0, 99)
        self.number(f"{path}max_lease_losses", spec.max_lease_losses, 0, 1000)
        self.duration(f"{path}start_delay", spec.start_delay, 365 * _DAY)
        self.duration(f"{path}suspend_timeout", spec.suspend_timeout, 3650 * _DAY)
        self.duration(f"{path}attempt_timeout", spec.attempt_timeout, 30 * _DAY)
        self.number(f"{path}retry_policy.attempts", spec.retry_policy.attempts, 0, 1000)
        self.duration(f"{path}retry_policy.backoff", spec.retry_policy.backoff, 7 * _DAY)
        self.duration(f"{path}retry_policy.max_backoff", spec.retry_policy.max_backoff, 7 * _DAY)

    def ref(self, path: str, ref: pb.WorkItemRef) -> None:
        """Check the name of an item."""
        self.namespace(ref.namespace, f"{path}.namespace")
        self.name(f"{path}.worker_topic", ref.worker_topic)
        self.name(f"{path}.item_id", ref.item_id)

    def done(self) -> None:
        """Refuse the request if anything is wrong.

        Raises:
            RemoteWorkersError: INVALID_FIELD with every field that is wrong.
        """
        if self._violations:
            message = f"{len(self._violations)} field(s) are not valid"
            raise RemoteWorkersError(Reason.INVALID_FIELD, message, fields=self._violations)
