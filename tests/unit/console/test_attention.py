"""What needs attention first."""

from typing import Any

import pytest

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http.console import attention, curves
from bloge_server.http.console.attention import TopicFacts
from bloge_server.store.throughput import NOTHING, Counts


def facts(*, workers: int = 1, name: str = "gpu", counts: Counts = NOTHING, **topic: Any) -> TopicFacts:
    """Return what is known of a topic; all that was counted was counted in one slot that is over."""
    told = ops.Topic(worker_topic=name, **topic)
    return TopicFacts(told, curves.activity([counts, Counts()]), workers, 4)


@pytest.mark.parametrize(
    "calm",
    [
        facts(),
        facts(ready_count=1_000, claimed_count=4),
        facts(workers=0),
        facts(paused=True),
        facts(counts=Counts(accepted=1_000, rejected=9, leases_lost=2)),
        facts(counts=Counts(accepted=10_000, rejected=100)),
        facts(backlog_limit=10, ready_count=9),
    ],
)
def test_a_busy_topic_needs_none(calm: TopicFacts) -> None:
    """Nor does an idle one, nor a little of what happens everywhere."""
    assert attention.notices([calm]) == []


@pytest.mark.parametrize(
    ("troubled", "text", "kind", "parts"),
    [
        (facts(dead_letter_count=2), "2 dead letters", "bad", ("dead-letters",)),
        (facts(ready_count=1, workers=0), "1 item and no worker", "bad", ("topics", "gpu")),
        (facts(retry_wait_count=3, workers=0), "3 items and no worker", "bad", ("topics", "gpu")),
        (facts(paused=True, ready_count=5), "paused with 5 ready items", "warn", ("topics", "gpu")),
        (facts(backlog_limit=9, ready_count=7, retry_wait_count=2), "its backlog limit of 9", "bad", ("topics", "gpu")),
        (facts(counts=Counts(leases_lost=3)), "3 leases lost", "warn", ("journal",)),
        (facts(counts=Counts(accepted=90, rejected=10)), "10 % of reports rejected", "warn", ("topics", "gpu")),
    ],
)  # fmt: skip
def test_trouble_is_told_with_where_it_is_mended(
    troubled: TopicFacts, text: str, kind: str, parts: tuple[str, ...]
) -> None:
    """One notice, with its page."""
    (notice,) = attention.notices([troubled])
    assert notice.text.startswith(text)
    assert (notice.kind, notice.parts, notice.topic) == (kind, parts, "gpu")
    assert notice.fix


def test_what_is_bad_comes_first() -> None:
    """Before what may right itself, whatever its topic."""
    found = attention.notices(
        [facts(name="a", paused=True, ready_count=1), facts(name="b", dead_letter_count=1, paused=True, ready_count=1)]
    )
    assert [(each.topic, each.kind) for each in found] == [("b", "bad"), ("a", "warn"), ("b", "warn")]


def test_a_page_that_is_filtered_knows_the_topic() -> None:
    """The list of dead letters, and the journal."""
    (notice,) = attention.notices([facts(dead_letter_count=2)])
    assert notice.query == {"topic": "gpu"}
    (lost,) = attention.notices([facts(counts=Counts(leases_lost=3))])
    assert lost.query == {"topic": "gpu", "kind": "retry,dead_letter"}
