"""Which dead letters a page is about."""

from typing import Any

import pytest

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.console.dead_letter_filter import LetterFilter

FULL = {
    "topic": "gpu",
    "error": "ValueError",
    "operator": "Infer",
    "execution": "e1",
    "why": "BUDGET_SPENT",
    "from": "2026-01-31T12:00",
    "until": "2026-02-01T00:00:30",
}


def test_an_empty_filter_leaves_nothing_out() -> None:
    """And says so."""
    found = LetterFilter.parse({})
    assert (found.is_set, found.query, found.told) == (False, {}, [])


def test_a_filter_stays_what_it_is() -> None:
    """From address to address."""
    found = LetterFilter.parse(FULL)
    assert found.query == FULL
    assert LetterFilter.parse(found.query) == found


def test_calls_take_it() -> None:
    """Instants are in UTC."""
    criteria = LetterFilter.parse(FULL).criteria()
    assert (criteria.error_type, criteria.operator_ref, criteria.execution_id) == ("ValueError", "Infer", "e1")
    assert criteria.reason == pb.DEAD_LETTER_REASON_BUDGET_SPENT
    assert criteria.dead_letter_time_from.ToJsonString() == "2026-01-31T12:00:00Z"
    assert criteria.dead_letter_time_until.ToJsonString() == "2026-02-01T00:00:30Z"


def test_people_read_it() -> None:
    """In words."""
    assert ("Reason", "budget spent") in LetterFilter.parse(FULL).told
    assert ("From (UTC)", "2026-01-31T12:00") in LetterFilter.parse(FULL).told


@pytest.mark.parametrize("wrong", [{"topic": "a b"}, {"execution": "/"}, {"why": "BECAUSE"}, {"from": "yesterday"}])
def test_what_is_wrong_is_refused_with_its_field(wrong: dict[str, Any]) -> None:
    """And with what it should be."""
    with pytest.raises(RemoteWorkersError) as refused:
        LetterFilter.parse(wrong)
    assert [each.field for each in refused.value.fields] == list(wrong)
