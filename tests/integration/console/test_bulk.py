"""All dead letters that match: counted, then replayed or discarded, to be watched and stopped."""

import re
from typing import Any

import pytest

from bloge.remote_workers.v1 import work_item_pb2
from support.visitor import PageSeen, Visitor
from support.waiting import until
from support.wire import TOPIC, Wire

from .conftest import Bury

RESUME = work_item_pb2.ON_DEAD_LETTER_RESUME_WITH_FAILURE


def begin(visitor: Visitor, verb: str, *, rate: str = "", most: str = "", **filters: Any) -> PageSeen:
    """Begin an act on all that match; return its first page."""
    form = visitor.see("/dead-letters/all/counted", **filters).form("/all")
    return visitor.send(form, verb=verb, rate=rate, most=most, reason="the model is back", actor="ada")


def ended(visitor: Visitor, page: PageSeen) -> str:
    """Wait until an act has ended; return what its page says."""
    address = str(page.response.url)
    until(lambda: "status running" not in visitor.follow(address).response.text, "the act ends")
    return visitor.follow(address).text


def test_a_dry_run_counts(visitor: Visitor, bury: Bury) -> None:
    """What would be replayed, and what would be refused; only of what matches."""
    bury(*(f"i{index}" for index in range(12)))
    bury("x", kind="Other")
    bury("s", on_dead_letter=RESUME)
    text = visitor.see("/dead-letters/all/counted", error="Boom").text
    assert "12 would be replayed, 1 refused" in text
    assert "all 13 could be discarded" in text


def test_all_that_match_are_replayed(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """And no others; the action is recorded once, with its filter."""
    bury(*(f"i{index}" for index in range(250)))
    bury("x", kind="Other")
    text = ended(visitor, begin(visitor, "replay", error="Boom"))
    assert "finished 250 of 250 dead letters" in text
    assert (wire.topic().ready_count, wire.topic().dead_letter_count) == (250, 1)
    told = visitor.see("/actions").text
    assert told.count("ReplayDeadLetters") == 1
    assert '"errorType": "Boom"' in told
    assert "the model is back" in told


def test_all_that_match_are_patched(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """The first of them are shown before; the page leads to the same act, with its filter and pace."""
    bury(*(f"i{index}" for index in range(5)), payload=b'{"size":1}')
    bury("x", kind="Other", payload=b'{"size":1}')
    form = visitor.see("/dead-letters/all/counted", error="Boom").form("/all")
    shown = visitor.send(form, verb="preview", patch='{"size": 7}')
    assert shown.text.count('- "size": 1 + "size": 7') == 3
    assert wire.topic().dead_letter_count == 6
    text = ended(visitor, visitor.send(shown.form("/all"), verb="replay", reason="the size was wrong"))
    assert "finished 5 of 5 dead letters" in text
    assert wire.topic().dead_letter_count == 1
    assert {wire.get(f"i{index}").spec.payload for index in range(5)} == {b'{"size":7}'}
    assert wire.get("x").spec.payload == b'{"size":1}'


def test_everything_is_discarded_in_every_topic(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """Without a filter: the whole namespace."""
    bury("a", "b")
    bury("c", topic="other")
    assert "finished 3 of 3 dead letters" in ended(visitor, begin(visitor, "discard"))
    assert wire.topic().dead_letter_count + wire.topic("other").dead_letter_count == 0


def test_what_is_refused_is_told(visitor: Visitor, bury: Bury) -> None:
    """Each with its cause."""
    bury("a")
    bury("s", on_dead_letter=RESUME)
    text = ended(visitor, begin(visitor, "replay"))
    assert "finished 1 of 2 dead letters, 1 refused" in text
    assert "'s' is DEAD_LETTER with outcome FAILED" in text


def test_no_more_than_wanted_are_replayed(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """The oldest."""
    bury(*(f"i{index}" for index in range(20)))
    assert "finished 7 of 7 dead letters" in ended(visitor, begin(visitor, "replay", most="7"))
    assert wire.topic().ready_count == 7


def test_a_paced_act_is_stopped(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """After the step that it is in; the rest stays where it is."""
    bury(*(f"i{index}" for index in range(30)))
    page = begin(visitor, "replay", rate="1")
    visitor.send(page.form("/stop"))
    text = ended(visitor, page)
    done = int(re.search(r"stopped (\d+) of 30", text)[1])  # type: ignore[index]  # it is there
    assert done < 30
    assert (wire.topic().ready_count, wire.topic().dead_letter_count) == (done, 30 - done)


def test_what_dies_again_is_left_alone(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """An act is over when all that were there have had their turn."""
    bury(*(f"i{index}" for index in range(5)))
    page = begin(visitor, "replay", rate="5")
    while "status running" in visitor.follow(str(page.response.url)).response.text:
        if leases := wire.claim(5):
            wire.fail(*leases)
    assert "finished 5 of 5 dead letters" in ended(visitor, page)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"rate": "fast"}, "rate"), ({"rate": "10001"}, "rate"), ({"most": "-1"}, "most"), ({"verb": "keep"}, "verb")],
)
def test_a_wrong_act_is_refused(visitor: Visitor, bury: Bury, wire: Wire, wrong: dict[str, str], field: str) -> None:
    """Before anything is done."""
    bury("a")
    page = begin(visitor, **{"verb": "replay", **wrong})
    assert page.status == 400
    assert field in page.text
    assert wire.status() == "DEAD_LETTER"


def test_an_audit_is_run_and_watched(visitor: Visitor, wire: Wire) -> None:
    """Its findings are told where its progress is."""
    wire.put("a", "b")
    page = visitor.send(visitor.see("/audit").form("/audit"), reason="routine", topic=TOPIC)
    text = ended(visitor, page)
    assert "finished" in text
    assert "Everything stands where it should." in text
