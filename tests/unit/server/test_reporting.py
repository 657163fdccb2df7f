"""Mixed reports on their way to the store."""

from collections.abc import Sequence
from typing import Any, cast

from bloge.remote_workers.errors import Reason
from bloge_server.dispatch import reporting
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Release, Verdict
from bloge_server.store.redis_store import RedisStore


class Recorder:
    """A store that notes its calls and answers each report with its item's id."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, int]] = []

    def __getattr__(self, verb: str) -> Any:
        """Take the batch of a verb."""

        async def call(namespace: str, topic: str, batch: Sequence[Any]) -> list[Verdict]:
            self.calls.append((verb, namespace, topic, len(batch)))
            return [Verdict(None, superseded_by=f"{verb} {report.token.item_id}") for report in batch]

        return call


def token(item_id: str, topic: str = "t", namespace: str = "ns") -> LeaseToken:
    """Return a token of an item."""
    return LeaseToken(namespace, topic, f"{item_id}/1/n")


async def take(*reports: reporting.Report | Verdict) -> tuple[list[str], list[tuple[str, str, str, int]]]:
    """Return what each report was answered, and the calls that were made."""
    recorder = Recorder()
    verdicts = await reporting.take(cast("RedisStore", recorder), reports)
    return [verdict.superseded_by for verdict in verdicts], recorder.calls


async def test_verdicts_stand_in_the_order_of_the_reports() -> None:
    """Whatever the verbs and topics are mixed like."""
    answers, _ = await take(
        Complete(token("a"), "complete", b"", "d"),
        Heartbeat(token("b", "u")),
        Verdict(Reason.INVALID_TOKEN, superseded_by="as it was"),
        Fail(token("c"), "T", "{}", non_retryable=False, retry_after_ms=-1, digest="d"),
        Complete(token("d"), "complete", b"", "d"),
        Release(token("e"), 0, '""', draining=False, digest="d"),
    )
    assert answers == ["complete a", "heartbeat b", "as it was", "fail c", "complete d", "release e"]


async def test_one_call_for_each_topic_and_verb() -> None:
    """Per-item cost decides throughput, so what can go together goes together."""
    _, calls = await take(
        Heartbeat(token("a")), Heartbeat(token("b", "u")), Heartbeat(token("c")), Heartbeat(token("d", "t", "other"))
    )
    assert calls == [("heartbeat", "ns", "t", 2), ("heartbeat", "ns", "u", 1), ("heartbeat", "other", "t", 1)]


async def test_no_call_carries_more_than_a_script_can_take() -> None:
    """A worker may name 10,000 held leases at once; each script call stays bounded."""
    answers, calls = await take(*(Heartbeat(token(str(index))) for index in range(1200)))
    assert [size for *_, size in calls] == [500, 500, 200]
    assert answers == [f"heartbeat {index}" for index in range(1200)]


async def test_no_reports_need_no_call() -> None:
    """A hello without held leases costs nothing."""
    assert await take() == ([], [])
