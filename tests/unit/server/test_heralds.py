"""Who hears what the store heralds."""

import pytest

from bloge_server.services.heralds import Herald, Heralds

TOPIC = ("default", "topic")


def test_a_line_goes_to_the_handlers_of_its_kind_with_its_words() -> None:
    """Each kind has its own words."""
    heralds, heard = Heralds(), list[tuple[object, ...]]()
    heralds.on(Herald.DUE, lambda *words: heard.append(words))
    heralds.on(Herald.STOP, lambda *words: heard.append(words))
    heralds.tell(TOPIC, ["due 250", "ready", "stop w1 item 7 CANCELLED"])
    assert heard == [(TOPIC, "250"), (TOPIC, "w1", "item", "7", "CANCELLED")]


def test_every_handler_of_a_kind_is_told_in_order() -> None:
    """Several parts may listen to the same kind."""
    heralds, heard = Heralds(), list[str]()
    heralds.on(Herald.READY, lambda _: heard.append("first"))
    heralds.on(Herald.READY, lambda _: heard.append("second"))
    heralds.tell(TOPIC, ["ready"])
    assert heard == ["first", "second"]


@pytest.mark.parametrize("line", ["paused", "", "word with words"])
def test_kinds_of_a_later_release_are_passed_over(line: str) -> None:
    """Servers of two releases may share a store."""
    heralds, heard = Heralds(), list[object]()
    heralds.on(Herald.READY, heard.append)
    heralds.tell(TOPIC, [line, "ready"])
    assert heard == [TOPIC]


def test_a_handler_that_breaks_leaves_the_others_alone() -> None:
    """One line that a handler cannot take, such as a reason of a later release, does not silence the rest."""
    heralds, heard = Heralds(), list[object]()
    heralds.on(Herald.STOP, lambda topic, reason: int(reason))
    heralds.on(Herald.READY, heard.append)
    heralds.tell(TOPIC, ["stop LATER_REASON", "ready"])
    assert heard == [TOPIC]
