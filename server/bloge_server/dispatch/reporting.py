"""Takes mixed reports to the store: one script call for each topic and verb, verdicts in the order of the reports."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

import structlog

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Release, Verdict
from bloge_server.store.redis_store import RedisStore

Report = Heartbeat | Complete | Fail | Release

NOT_JUDGED = frozenset({Reason.STORE_UNAVAILABLE, Reason.STORE_FULL, Reason.UNKNOWN_SCHEMA, Reason.INTERNAL})
"""Verdicts that say nothing about the lease: the report is to be repeated."""

_MAX_SCRIPT_BATCH = 500
"""Scripts take bounded batches: a larger one would keep the store from everybody else, or not fit Lua's stack."""

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


async def take(store: RedisStore, reports: Sequence[Report | Verdict]) -> list[Verdict]:
    """Return one verdict for each report, in order; one that is a verdict already stands.

    Raises:
        RemoteWorkersError: the store cannot be reached. Reports that were taken before say the same when repeated.
    """
    verdicts, failures = await _take(store, reports)
    if failures:
        raise failures[0]
    return verdicts


async def take_what_can_be(store: RedisStore, reports: Sequence[Report | Verdict]) -> list[Verdict]:
    """Like `take`, but a report that the store could not judge gets a verdict that says so."""
    verdicts, failures = await _take(store, reports)
    for failure in failures:
        _log.warning("reports not judged", error=str(failure))
    return verdicts


async def _take(
    store: RedisStore, reports: Sequence[Report | Verdict]
) -> tuple[list[Verdict], list[RemoteWorkersError]]:
    """Return a verdict for each report, and what went wrong. A topic that cannot be reached delays no other."""
    verdicts = list(reports)
    failures: list[RemoteWorkersError] = []

    async def judge(topic: tuple[str, str], kinds: dict[type, list[int]]) -> None:
        for kind, positions in kinds.items():
            for indexes in batches(positions):
                judged: Sequence[Verdict]
                try:
                    judged = await _call(store, kind)(*topic, [reports[index] for index in indexes])
                except RemoteWorkersError as failure:
                    failures.append(failure)
                    judged = [Verdict(failure.reason)] * len(indexes)
                for index, verdict in zip(indexes, judged, strict=True):
                    verdicts[index] = verdict

    topics = _by_topic(reports)
    if len(topics) == 1:
        await judge(*topics.popitem())
    else:
        await asyncio.gather(*(judge(topic, kinds) for topic, kinds in topics.items()))
    return [verdict for verdict in verdicts if isinstance(verdict, Verdict)], failures


def batches(whole: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield the parts of a sequence that one script call may take."""
    for start in range(0, len(whole), _MAX_SCRIPT_BATCH):
        yield whole[start : start + _MAX_SCRIPT_BATCH]


def _by_topic(reports: Sequence[Report | Verdict]) -> dict[tuple[str, str], dict[type, list[int]]]:
    """Return the positions of the reports that can share a script call, by topic and verb."""
    topics: defaultdict[tuple[str, str], dict[type, list[int]]] = defaultdict(dict)
    for index, report in enumerate(reports):
        if not isinstance(report, Verdict):
            kinds = topics[report.token.namespace, report.token.worker_topic]
            kinds.setdefault(type(report), []).append(index)
    return topics


def _call(store: RedisStore, kind: type) -> Callable[[str, str, Sequence[Any]], Awaitable[list[Verdict]]]:
    calls: dict[type, Callable[[str, str, Sequence[Any]], Awaitable[list[Verdict]]]] = {
        Heartbeat: store.heartbeat,
        Complete: store.complete,
        Fail: store.fail,
        Release: store.release,
    }
    return calls[kind]
