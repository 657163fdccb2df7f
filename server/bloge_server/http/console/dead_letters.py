"""Dead letters: found, counted by error, and those that are chosen replayed or discarded."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.console import shown
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.dead_letter_filter import REASONS, LetterFilter
from bloge_server.http.console.forms import invalid, posted
from bloge_server.http.console.items_shown import ListedItem
from bloge_server.http.console.patching import PatchPages, patch_of
from bloge_server.http.console.site import Site, namespace_of, page_after, see

_PAGE = 50
_TOPICS_TOLD = 200


class GroupRow(NamedTuple):
    """A group in the table."""

    group: ops.DeadLetterGroup
    reason: str
    query: Mapping[str, str]
    """Of the page that lists its members."""


class DeadLetterPages:
    """The list, the counts, and what is done with those that are chosen.

    Args:
        site: renders them.
        calls: ask the server.
    """

    def __init__(self, site: Site, calls: Calls) -> None:
        self._site = site
        self._calls = calls
        self._patches = PatchPages(site, calls)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._site.route("/dead-letters", self.show),
            self._site.route("/dead-letters/groups", self.show_groups),
            self._site.route("/dead-letters/act", self.act, "POST"),
        ]

    async def show(self, request: Request) -> Response:
        """List a page of them."""
        namespace, chosen = namespace_of(request), LetterFilter.parse(request.query_params)
        asked = ops.ListDeadLettersRequest(
            namespace=namespace,
            worker_topic=chosen.topic,
            filter=chosen.criteria(),
            page_size=_PAGE,
            page_token=request.query_params.get("page", ""),
        )
        listed = await self._calls.ListDeadLetters(asked)
        topics = await self._calls.ListTopics(ops.ListTopicsRequest(namespace=namespace, page_size=_TOPICS_TOLD))
        return self._site.page(
            request,
            "dead_letters",
            filter=chosen,
            reasons=REASONS,
            topics=[topic.worker_topic for topic in topics.topics],
            items=list(map(ListedItem, listed.items)),
            next_page=page_after(namespace, listed.next_page_token, "dead-letters", **chosen.query),
            did=_did(request.query_params),
        )

    async def show_groups(self, request: Request) -> Response:
        """Count them by error: as a part of the list's page, or as a page of its own."""
        namespace, chosen = namespace_of(request), LetterFilter.parse(request.query_params)
        asked = ops.GroupDeadLettersRequest(
            namespace=namespace,
            worker_topic=chosen.topic,
            filter=chosen.criteria(),
            page_token=request.query_params.get("page", ""),
        )
        counted = await self._calls.GroupDeadLetters(asked)
        return self._site.page(
            request,
            "groups" if "hx-request" in request.headers else "groups_page",
            groups=[_row(group, chosen) for group in sorted(counted.groups, key=lambda each: -each.count)],
            next_page=page_after(namespace, counted.next_page_token, "dead-letters", "groups", **chosen.query),
        )

    async def act(self, request: Request) -> Response:
        """Replay or discard those that are chosen."""
        form = await posted(request)
        by_topic: defaultdict[str, list[str]] = defaultdict(list)
        chosen = [each.partition(":")[::2] for each in form.texts("item")]
        for topic, item_id in chosen:
            by_topic[topic].append(item_id)
        if not by_topic:
            raise invalid("item", "is empty: choose at least one dead letter")
        namespace, patch = namespace_of(request), patch_of(form)
        if form.text("verb") == "preview":
            refs = [pb.WorkItemRef(namespace=namespace, worker_topic=topic, item_id=each) for topic, each in chosen]
            return await self._patches.show(request, form, ("dead-letters", "act"), refs, is_paced=False)
        done = refused = 0
        for topic, item_ids in by_topic.items():
            where = (namespace, topic, item_ids, form.action())
            step = await (self._replay(*where, patch) if form.text("verb") == "replay" else self._discard(*where))
            done, refused = done + step[0], refused + step[1]
        return see(request, "dead-letters", did=form.text("verb"), n=done, refused=refused or "")

    async def _replay(
        self, namespace: str, topic: str, ids: list[str], action: ops.Action, patch: bytes
    ) -> tuple[int, int]:
        asked = ops.ReplayDeadLettersRequest(namespace=namespace, worker_topic=topic, action=action)
        asked.filter.item_ids.extend(ids)
        asked.payload_patch = patch
        reply = await self._calls.ReplayDeadLetters(asked)
        return reply.replayed_count, reply.refused_count

    async def _discard(self, namespace: str, topic: str, ids: list[str], action: ops.Action) -> tuple[int, int]:
        reply = await self._calls.DiscardDeadLetters(
            ops.DiscardDeadLettersRequest(
                namespace=namespace, worker_topic=topic, filter=ops.DeadLetterFilter(item_ids=ids), action=action
            )
        )
        return reply.discarded_count, reply.refused_count


def _row(group: ops.DeadLetterGroup, chosen: LetterFilter) -> GroupRow:
    reason = shown.reason_of(group.reason)
    query = {**chosen.query, "topic": group.worker_topic, "why": reason, "error": group.error_type}
    return GroupRow(group, reason, query)


def _did(query: Mapping[str, str]) -> str:
    """Return what an action before this page did; the address has numbers only."""
    verb, number, refused = query.get("did", ""), query.get("n", ""), query.get("refused", "0")
    if verb not in {"replay", "discard"} or not (number.isdecimal() and refused.isdecimal()):
        return ""
    word = "replayed" if verb == "replay" else "discarded"
    told = f"{shown.plural(int(number), 'dead letter')} {word}"
    return f"{told}, {shown.count(int(refused))} refused." if int(refused) else f"{told}."
