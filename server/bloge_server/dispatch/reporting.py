"""Takes mixed reports to the store: one script call for each topic and verb, verdicts in the order of the reports."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from bloge_server.domain.reports import Complete, Fail, Heartbeat, Release, Verdict
from bloge_server.store.redis_store import RedisStore

Report = Heartbeat | Complete | Fail | Release

_MAX_SCRIPT_BATCH = 500
"""Scripts take bounded batches: a larger one would keep the store from everybody else, or not fit Lua's stack."""

_T = TypeVar("_T")


async def take(store: RedisStore, reports: Sequence[Report | Verdict]) -> list[Verdict]:
    """Return one verdict for each report, in order; one that is a verdict already stands.

    Raises:
        RemoteWorkersError: the store cannot be reached. Reports that were taken before say the same when repeated.
    """
    verdicts = list(reports)
    for (kind, namespace, worker_topic), positions in _groups(reports).items():
        for indexes in batches(positions):
            judged = await _call(store, kind)(namespace, worker_topic, [reports[index] for index in indexes])
            for index, verdict in zip(indexes, judged, strict=True):
                verdicts[index] = verdict
    return [verdict for verdict in verdicts if isinstance(verdict, Verdict)]


def batches(whole: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield the parts of a sequence that one script call may take."""
    for start in range(0, len(whole), _MAX_SCRIPT_BATCH):
        yield whole[start : start + _MAX_SCRIPT_BATCH]


def _groups(reports: Sequence[Report | Verdict]) -> dict[tuple[type, str, str], list[int]]:
    """Return the positions of the reports that can share a script call."""
    groups: defaultdict[tuple[type, str, str], list[int]] = defaultdict(list)
    for index, report in enumerate(reports):
        if not isinstance(report, Verdict):
            groups[type(report), report.token.namespace, report.token.worker_topic].append(index)
    return groups


def _call(store: RedisStore, kind: type) -> Callable[[str, str, Sequence[Any]], Awaitable[list[Verdict]]]:
    calls: dict[type, Callable[[str, str, Sequence[Any]], Awaitable[list[Verdict]]]] = {
        Heartbeat: store.heartbeat,
        Complete: store.complete,
        Fail: store.fail,
        Release: store.release,
    }
    return calls[kind]
