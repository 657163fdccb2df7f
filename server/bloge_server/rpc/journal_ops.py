"""The part of `OpsService` that tells what happens in topics."""

from collections.abc import AsyncIterator, Iterable

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.rpc import items
from bloge_server.rpc.boundary import stream_response
from bloge_server.rpc.fields import Checks
from bloge_server.services.event_feed import EventFeed, News, Place, TopicEvent, Wanted

_MOST_LAST = 10_000
_FRAME_EVENTS = 4_000
"""So many fit a frame of 3 MiB, however long the names are."""
_PREFIX = "TOPIC_EVENT_KIND_"
_KINDS = {name.removeprefix(_PREFIX).lower(): number for name, number in pb.TopicEventKind.items()}
_NAMES = {number: name for name, number in _KINDS.items() if number}


class JournalOps:
    """What happens in topics, for people.

    Args:
        feed: reads it.
    """

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed

    @stream_response
    async def TailJournal(self, request: pb.TailJournalRequest) -> AsyncIterator[pb.TailJournalResponse]:
        """Tell what happened, and what happens."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        topic = checks.optional_name("worker_topic", request.worker_topic, "")
        checks.number("last_events", request.last_events, 0, _MOST_LAST)
        wanted = Wanted(
            kinds=frozenset(_NAMES[kind] for kind in request.kinds if kind in _NAMES),
            item_id=checks.optional_name("item_id", request.item_id, ""),
            reply_group=checks.optional_name("reply_group", request.reply_group, ""),
            worker_id=checks.optional_name("worker_id", request.worker_id, ""),
        )
        checks.done()
        reader = self._feed.reader(namespace, topic, wanted)
        if request.position:
            place = Place.parse(request.position)
        else:
            news = await reader.latest(request.last_events)
            place = news.place
            for frame in _frames(namespace, news):
                yield frame
        if not request.follow and not request.position:
            return
        async for news in reader.follow(place):
            for frame in _frames(namespace, news):
                yield frame
            if not request.follow and not news.more:
                return


def _frames(namespace: str, news: News) -> Iterable[pb.TailJournalResponse]:
    """Yield the events of a round in frames that are not too large; the last one tells how far the round came."""
    rest = news.events
    while len(rest) > _FRAME_EVENTS:
        part, rest = rest[:_FRAME_EVENTS], rest[_FRAME_EVENTS:]
        yield _frame(namespace, part, part[-1].place)
    yield _frame(namespace, rest, news.place)


def _frame(namespace: str, events: Iterable[TopicEvent], place: Place) -> pb.TailJournalResponse:
    frame = pb.TailJournalResponse(position=str(place))
    for told in events:
        event = told.event
        kind = _KINDS.get(event.kind, pb.TOPIC_EVENT_KIND_UNSPECIFIED)
        message = frame.events.add(
            event_time=items.timestamp(told.at_ms),
            kind=kind,
            detail=event.detail if kind else event.kind,
            worker_id=event.worker_id,
            fence=event.fence,
            reply_group=event.reply_group,
        )
        ref = message.item
        ref.namespace, ref.worker_topic, ref.item_id = namespace, told.worker_topic, event.item_id
    return frame
