"""What people do in the console is done, with a reason, and is on record."""

from typing import Any

import pytest

from bloge.remote_workers.v1 import work_item_pb2
from support.visitor import PageSeen, Visitor
from support.wire import TOPIC, Wire, seconds

from .conftest import Bury

ITEM = f"/topics/{TOPIC}/items/a"


def recorded(visitor: Visitor) -> str:
    """Return the list of actions."""
    return visitor.see("/actions").text


def act(visitor: Visitor, page: str, ending: str, **filled: Any) -> PageSeen:
    """Fill in a form of a page and send it."""
    return visitor.send(visitor.see(page).form(ending), **{"reason": "because", "actor": "ada", **filled})


def test_a_topic_is_paused_and_resumed(visitor: Visitor, wire: Wire) -> None:
    """The page that follows shows it."""
    wire.put("a")
    assert act(visitor, f"/topics/{TOPIC}", "/pause", reason="bad release").form("/resume").method == "post"
    assert wire.topic().paused
    act(visitor, f"/topics/{TOPIC}", "/resume")
    assert not wire.topic().paused
    assert "PauseTopic topic ada bad release" in recorded(visitor)


def test_an_act_needs_a_reason(visitor: Visitor, wire: Wire) -> None:
    """Nothing is done without one."""
    wire.put("a")
    page = act(visitor, f"/topics/{TOPIC}", "/pause", reason="  ")
    assert page.status == 400
    assert "say why" in page.text
    assert not wire.topic().paused


def test_a_worker_is_drained(visitor: Visitor, wire: Wire) -> None:
    """It is told on its stream."""
    wire.put("a")
    with wire.session("w1", capabilities=["worker-drain"]) as session:
        page = act(visitor, "/workers/w1", "/drain")
        session.expect("draining")
    assert "It was asked to leave" in page.text
    assert "DrainWorker w1 ada because" in recorded(visitor)


def test_an_item_is_cancelled(visitor: Visitor, wire: Wire) -> None:
    """And that it was is on record."""
    wire.put("a")
    page = act(visitor, ITEM, "/cancel")
    assert "It was cancelled" in page.text
    assert wire.status() == "CANCELLED"
    assert "Cancel topic/a ada because" in recorded(visitor)


def test_a_finished_item_offers_no_acts(visitor: Visitor, wire: Wire) -> None:
    """A form that was loaded before is refused."""
    wire.put("a")
    before = visitor.see(ITEM).form("/cancel")
    wire.complete(wire.claim_one())
    assert [form for form in visitor.see(ITEM).forms if form.method == "post"] == []
    refused = visitor.send(before, reason="too late")
    assert refused.status == 409
    assert "is DONE" in refused.text


def test_a_dead_letter_is_discarded(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """With the reason."""
    bury("a")
    assert "It was discarded" in act(visitor, ITEM, "/discard").text
    assert wire.status() == "CANCELLED"
    assert "DiscardDeadLetters topic ada because" in recorded(visitor)


def test_a_dead_letter_is_replayed_with_another_payload(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """What changes is shown first; the next worker gets it."""
    bury("a", payload=b'{"size":1,"model":"m"}')
    form = visitor.see(f"{ITEM}/replay").form("/replay")
    changed = form.fields["payload"].replace('"size": 1', '"size": 2')
    preview = visitor.send(form, payload=changed, reason="wrong size", step="preview")
    assert '- "size": 1, + "size": 2,' in preview.text
    assert wire.status() == "DEAD_LETTER"
    sent = preview.form("/replay")
    page = visitor.send(sent, step="replay")
    assert "It was put back" in page.text
    assert wire.claim_one().spec.payload == b'{"size":2,"model":"m"}'
    assert "wrong size" in recorded(visitor)


def test_a_payload_that_was_not_changed_stays_as_it_was(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """To the last blank."""
    bury("a", payload=b'{ "size" :  1.0 }')
    act(visitor, f"{ITEM}/replay", "/replay", step="replay")
    assert wire.claim_one().spec.payload == b'{ "size" :  1.0 }'


def test_a_payload_that_is_broken_is_not_sent(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """The form comes back with what was written and what is wrong with it."""
    bury("a", payload=b'{"size":1}')
    page = act(visitor, f"{ITEM}/replay", "/replay", payload='{"size": ', step="replay")
    assert "The payload is not JSON any more" in page.text
    assert page.form("/replay").fields["payload"] == '{"size":'
    assert wire.status() == "DEAD_LETTER"


def test_a_payload_of_bytes_is_replayed_as_it_is(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """Nothing of it passes through a text field."""
    bury("a", payload=b"\xff\x00\r\n")
    act(visitor, f"{ITEM}/replay", "/replay", step="replay")
    assert wire.claim_one().spec.payload == b"\xff\x00\r\n"


def test_a_late_output_is_adopted(visitor: Visitor, wire: Wire) -> None:
    """It becomes the outcome, instead of another run."""
    wire.put("a")
    late = wire.claim_one(worker="w1", lease_duration=seconds(1))
    wire.fail(wire.claim_one(worker="w2", wait=20))
    (verdict,) = wire.complete(late, output=b'{"label":"late"}')
    assert verdict.late_output_kept
    page = act(visitor, ITEM, "/adopt")
    assert "The late output is the outcome now." in page.text
    assert '"label": "late"' in page.text
    assert wire.status() == "DONE"


def test_chosen_dead_letters_are_replayed(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """Over several topics; what is refused is counted."""
    bury("a", "b")
    bury("c", topic="other")
    bury("d", on_dead_letter=work_item_pb2.ON_DEAD_LETTER_RESUME_WITH_FAILURE)
    page = act(
        visitor, "/dead-letters", "/act", item=[f"{TOPIC}:a", f"{TOPIC}:d", "other:c", f"{TOPIC}:x"], verb="replay"
    )
    assert "2 dead letters replayed, 2 refused." in page.text
    assert (wire.status("a"), wire.status("b"), wire.topic("other").ready_count) == ("READY", "DEAD_LETTER", 1)


def test_chosen_dead_letters_are_replayed_with_a_patch(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """What changes is shown before; what cannot be patched is said, and left alone."""
    bury("a", payload=b'{"size":1,"color":"red"}')
    bury("b", payload=b"no json")
    chosen, patch = [f"{TOPIC}:a", f"{TOPIC}:b"], '{"size": 7}'
    page = act(visitor, "/dead-letters", "/act", item=chosen, patch=patch, verb="preview")
    assert '- "size": 1, + "size": 7,' in page.text
    assert "Its payload is no JSON" in page.text
    assert [wire.status(item_id) for item_id in "ab"] == ["DEAD_LETTER"] * 2
    form = page.form("/act")
    assert form.fields["patch"] == patch
    told = visitor.send(form, item=chosen, reason="the size was wrong", verb="replay")
    assert "1 dead letter replayed, 1 refused." in told.text
    assert wire.get("a").spec.payload == b'{"size":7,"color":"red"}'


@pytest.mark.parametrize("verb", ["preview", "replay"])
def test_a_patch_that_is_no_json_changes_nothing(visitor: Visitor, bury: Bury, wire: Wire, verb: str) -> None:
    """The page says what is wrong with it."""
    bury("a")
    page = act(visitor, "/dead-letters", "/act", item=[f"{TOPIC}:a"], patch="{", verb=verb)
    assert (page.status, "patch must be JSON" in page.text) == (400, True)
    assert wire.status("a") == "DEAD_LETTER"


def test_chosen_dead_letters_are_discarded(visitor: Visitor, bury: Bury, wire: Wire) -> None:
    """Only they."""
    bury("a", "b")
    page = act(visitor, "/dead-letters", "/act", item=[f"{TOPIC}:a"], verb="discard")
    assert "1 dead letter discarded." in page.text
    assert (wire.status("a"), wire.status("b")) == ("CANCELLED", "DEAD_LETTER")


@pytest.mark.parametrize("items", [[], ["nonsense"], ["a b:c"]])
def test_nothing_is_done_where_nothing_is_chosen(visitor: Visitor, bury: Bury, wire: Wire, items: list[str]) -> None:
    """Nor with names that are none."""
    bury("a")
    page = act(visitor, "/dead-letters", "/act", item=items, verb="discard")
    assert page.status == 400
    assert wire.status() == "DEAD_LETTER"
