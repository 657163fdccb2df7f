"""Pages show what is there, and say what to do where there is nothing."""

import pytest

from bloge.remote_workers.v1 import work_item_pb2
from support.visitor import Visitor
from support.waiting import until
from support.wire import TOPIC, Wire, seconds

from .conftest import Bury


def test_an_empty_namespace_says_what_to_do(visitor: Visitor) -> None:
    """On every page that could be empty."""
    assert "curl -X POST" in visitor.see().text
    assert "bloge-worker" in visitor.see("/workers").text
    assert "There are no dead letters." in visitor.see("/dead-letters").text
    assert "Nobody did anything yet." in visitor.see("/actions").text
    assert "Nothing yet." in visitor.see("/journal").text
    assert "No dead letter matches." in visitor.see("/dead-letters", error="Boom").text


def test_the_overview_has_every_topic(visitor: Visitor, wire: Wire) -> None:
    """With its counts, its workers and their free slots."""
    wire.put("a", "b", "c")
    wire.put("x", worker_topic="other")
    with wire.session(slots=4, credit=1) as session:
        session.leases(1)
        page = visitor.see()
        assert "topic 2 1 0 0" in page.text
        assert "other 1 0 0 0" in page.text
        until(lambda: "1 3" in visitor.see().text, "the worker is listed with its free slots")


def test_what_needs_attention_leads_to_where_it_is_mended(visitor: Visitor, wire: Wire, bury: Bury) -> None:
    """Dead letters to their list, a backlog without a worker to its topic."""
    bury("a")
    wire.put("b", worker_topic="lonely")
    page = visitor.see()
    assert "topic 1 dead letter" in page.text
    assert "lonely 1 item and no worker" in page.text
    (letters,) = {each for each in page.links if "/dead-letters?" in each and "topic=topic" in each}
    assert "it broke" in visitor.follow(letters).text


def test_a_topic_lists_its_items_page_by_page(visitor: Visitor, wire: Wire) -> None:
    """By place: each once, however many there are."""
    wire.put(*(f"i{index:03}" for index in range(120)))
    page, seen, pages = visitor.see(f"/topics/{TOPIC}"), [], 1
    while True:
        seen += [each for each in page.links if "/items/" in each]
        following = [each for each in page.links if "page=" in each]
        if not following:
            break
        page, pages = visitor.follow(following[0]), pages + 1
    assert (len(seen), len(set(seen)), pages) == (120, 120, 3)


@pytest.mark.parametrize(
    ("status", "item_id"),
    [
        ("READY", "waits"),
        ("CLAIMED", "runs"),
        ("RETRY_WAIT", "later"),
        ("DEAD_LETTER", "dead"),
        ("DONE", "done"),
        ("CANCELLED", "gone"),
    ],
)
def test_a_topic_lists_every_status(visitor: Visitor, wire: Wire, bury: Bury, status: str, item_id: str) -> None:
    """Only items of it."""
    bury("dead")
    wire.put("done")
    wire.complete(wire.claim_one())
    wire.put("gone")
    wire.cancel("gone")
    wire.put("runs")
    wire.claim_one()
    wire.put("later", start_delay=seconds(100))
    wire.put("waits")
    page = visitor.see(f"/topics/{TOPIC}", status=status)
    assert {each.split("/items/")[1].split("?")[0] for each in page.links if "/items/" in each} == {item_id}


def test_an_item_tells_its_whole_story(visitor: Visitor, wire: Wire) -> None:
    """Payload, attempts with worker and traceback, deadline, execution, operator."""
    retry = work_item_pb2.RetryPolicy(attempts=3)
    wire.put(
        "a",
        payload=b'{"prompt":"hello"}',
        retry_policy=retry,
        suspend_timeout=seconds(3600),
        execution_id="exe-1",
        node_id="infer",
        operator_ref="InferenceOperator",
    )
    wire.fail(wire.claim_one(worker="gpu-1"), kind="CudaError", message="out of memory", traceback="File x, line 1")
    wire.claim_one(worker="gpu-2")
    text = visitor.see(f"/topics/{TOPIC}/items/a").text
    for told in (
        "exe-1",
        "infer",
        "InferenceOperator",
        "CudaError",
        "out of memory",
        "File x, line 1",
        "gpu-1",
        "gpu-2",
    ):
        assert told in text
    assert '"prompt": "hello"' in text
    assert "2 of 4" in text
    assert "59 min" in text


def test_an_outcome_is_shown(visitor: Visitor, wire: Wire) -> None:
    """An output, or an error of the business."""
    wire.put("a", "b")
    wire.complete(wire.claim_one(), output=b'{"label":"cat"}')
    wire.business_error(wire.claim_one(), code="NO_STOCK", message="sold out", details=b'{"left":0}')
    assert '"label": "cat"' in visitor.see(f"/topics/{TOPIC}/items/a").text
    business = visitor.see(f"/topics/{TOPIC}/items/b").text
    assert "NO_STOCK" in business
    assert '"left": 0' in business


def test_a_worker_shows_what_it_holds(visitor: Visitor, wire: Wire) -> None:
    """Its topics, its slots, its SDK, and its items."""
    wire.put("a", "b")
    wire.register("w1", TOPIC, "unused", slots=2, sdk="bloge-worker/1.2")
    wire.claim_one(worker="w1")
    assert "w1" in visitor.see("/workers").text
    page = visitor.see("/workers/w1")
    assert "bloge-worker/1.2" in page.text
    assert [each for each in page.links if each.split("?")[0].endswith("/items/a")]
    assert not [each for each in page.links if each.split("?")[0].endswith("/items/b")]


def test_names_are_found(visitor: Visitor, wire: Wire) -> None:
    """Topics, workers, items with and without their topic."""
    wire.put("a")
    wire.register("w1")
    for query, path in (
        (TOPIC, f"/console/topics/{TOPIC}"),
        ("w1", "/console/workers/w1"),
        ("a", f"/console/topics/{TOPIC}/items/a"),
        (f"{TOPIC}:a", f"/console/topics/{TOPIC}/items/a"),
    ):
        assert visitor.see("/find", q=query).response.url.path == path
    assert visitor.see("/find", q="nobody").status == 404
    assert visitor.see("/find", q="a b").status == 404


@pytest.mark.parametrize(
    ("path", "query", "status", "told"),
    [
        ("/topics/nothing", {}, 404, "nothing was ever enqueued"),
        ("/topics/topic", {"status": "LOST"}, 400, "must be one of READY"),
        ("/topics/topic", {"page": "nonsense"}, 400, "page_token"),
        ("/topics/topic/items/nobody", {}, 404, "there is no work item"),
        ("/workers/nobody", {}, 404, "no worker"),
        ("/dead-letters", {"from": "yesterday"}, 400, "must be an instant"),
        ("/journal", {"kind": "A B"}, 400, "kind"),
        ("/runs/0", {}, 404, "long action"),
        ("/nowhere", {}, 404, "no such page"),
    ],
)
def test_what_is_wrong_is_told_as_a_page(
    visitor: Visitor, wire: Wire, path: str, query: dict[str, str], status: int, told: str
) -> None:
    """With its status, and what to do."""
    wire.put("a")
    page = visitor.see(path, **query)
    assert page.status == status
    assert told in page.text


def test_a_wrong_namespace_is_refused(visitor: Visitor) -> None:
    """As every other name."""
    assert visitor.see(namespace="a b").status == 400
