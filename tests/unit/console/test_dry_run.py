"""What an act on all dead letters that match would do."""

from typing import cast

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.dead_letter_filter import LetterFilter
from bloge_server.http.console.dry_run import Dry, dry_run


class Store:
    """Counts so many pages, each with some dead letters of a topic of its own."""

    def __init__(self, pages: int) -> None:
        self.pages = pages

    async def GroupDeadLetters(self, request: ops.GroupDeadLettersRequest) -> ops.GroupDeadLettersResponse:  # noqa: N802 - gRPC dictates the name
        """Count a page."""
        page = int(request.page_token or 0)
        topic = request.worker_topic or f"t{page:03}"
        group = ops.DeadLetterGroup(worker_topic=topic, count=10, settled_count=1)
        following = str(page + 1) if page + 1 < self.pages else ""
        return ops.GroupDeadLettersResponse(groups=[group], next_page_token=following)

    async def ListTopics(self, request: ops.ListTopicsRequest) -> ops.ListTopicsResponse:  # noqa: N802 - gRPC dictates the name
        """List every second topic as one that has dead letters, one on a page."""
        page = int(request.page_token or 0)
        topic = ops.Topic(worker_topic=f"t{page:03}", dead_letter_count=page % 2)
        following = str(page + 1) if page + 1 < self.pages else ""
        return ops.ListTopicsResponse(topics=[topic], next_page_token=following)


async def counted(pages: int, topic: str = "") -> Dry:
    """Return what a store of so many pages is counted as."""
    return await dry_run(cast("Calls", Store(pages)), "ns", LetterFilter(topic=topic))


async def test_pages_add_up() -> None:
    """And name the topics."""
    dry = await counted(3)
    assert (dry.total, dry.settled, dry.waiting, dry.is_cut) == (30, 3, 27, False)
    assert dry.topics == ("t000", "t001", "t002")


async def test_a_count_ends() -> None:
    """However many there are; then every topic that has dead letters may have some that match."""
    dry = await counted(40)
    assert (dry.total, dry.is_cut) == (100, True)
    assert dry.topics == tuple(f"t{index:03}" for index in range(1, 40, 2))


async def test_a_topic_that_is_chosen_stays_the_only_one() -> None:
    """Also if the count ended early."""
    assert (await counted(40, "mine")).topics == ("mine",)
