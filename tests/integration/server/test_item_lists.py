"""Items of a topic, listed by status."""

from typing import Any

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from support.wire import PATIENCE, TOPIC, Wire, refused

READY, DEAD = work_item_pb2.WORK_ITEM_STATUS_READY, work_item_pb2.WORK_ITEM_STATUS_DEAD_LETTER


def listed(wire: Wire, **request: Any) -> list[list[str]]:
    """Return the pages of a listing, as ids."""
    call = pb.ListWorkItemsRequest(**{"namespace": wire.namespace, "worker_topic": TOPIC, "status": READY, **request})
    pages: list[list[str]] = []
    while True:
        response = wire.ops.ListWorkItems(call, timeout=PATIENCE)
        pages.append([item.item.item_id for item in response.items])
        assert len(pages) < 100, "the listing never ends"
        if not response.next_page_token:
            return pages
        call.page_token = response.next_page_token


@pytest.mark.parametrize("size", [1, 3, 7, 8])
def test_pages_follow_one_another(wire: Wire, size: int) -> None:
    """Each item once, in the order of its index, whatever the page size."""
    ids = [f"i{index}" for index in range(7)]
    wire.put(*ids)
    pages = listed(wire, page_size=size)
    assert [item_id for page in pages for item_id in page] == ids
    assert all(len(page) <= size for page in pages)


def test_finished_items_are_listed_latest_first(wire: Wire) -> None:
    """By how they ended, from the acknowledgement of their outcome; without a reply group at once."""
    for item_id in ("a", "b", "c"):
        wire.put(item_id)
        wire.complete(wire.claim_one()) if item_id != "b" else wire.cancel("b")
    assert listed(wire, status=work_item_pb2.WORK_ITEM_STATUS_DONE, page_size=1) == [["c"], ["a"], []]
    assert listed(wire, status=work_item_pb2.WORK_ITEM_STATUS_CANCELLED) == [["b"]]


def test_the_items_of_a_worker_are_listed(wire: Wire) -> None:
    """Those that it holds."""
    wire.put("a", "b", "c")
    wire.claim(2, worker="w1")
    wire.claim(1, worker="w2")
    held = {"status": work_item_pb2.WORK_ITEM_STATUS_CLAIMED, "worker_id": "w2"}
    assert listed(wire, **held) == [["c"]]


def test_a_page_of_long_histories_fits_a_reply(wire: Wire) -> None:
    """A page ends before it is too large, and the next one goes on (promise L9)."""
    ids = [f"i{index:02}" for index in range(60)]
    wire.put(*ids, retry_policy=work_item_pb2.RetryPolicy(attempts=3))
    for _ in range(4):
        wire.fail(*wire.claim(60), message="m" * 4096, traceback="t" * 16_384)
    pages = listed(wire, status=DEAD, page_size=60)
    assert sorted(item_id for page in pages for item_id in page) == ids


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"status": 99}, "status"),
        ({"status": 0}, "status"),
        ({"page_size": 1001}, "page_size"),
        ({"page_token": "nonsense"}, "page_token"),
        ({"page_token": "YQ=="}, "page_token"),
        ({"page_token": "LTU="}, "page_token"),
    ],
)
def test_a_wrong_listing_is_refused(wire: Wire, request_fields: dict[str, Any], field: str) -> None:
    """With the field, whatever a client of a later release asks for."""
    wire.put("a")
    with refused() as told:
        listed(wire, **request_fields)
    assert told[0].reason is Reason.INVALID_FIELD
    assert [each.field for each in told[0].fields] == [field]
