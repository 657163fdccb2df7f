"""All dead letters that match a filter: counted first, then replayed or discarded at a pace, in the background."""

from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.status import from_status
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.dead_letter_filter import LetterFilter
from bloge_server.http.console.dry_run import dry_run
from bloge_server.http.console.forms import Form, invalid, posted
from bloge_server.http.console.patching import PatchPages, patch_of
from bloge_server.http.console.runs import Runs, Step
from bloge_server.http.console.site import Site, namespace_of, see

_STEP = 100
_STEPS_A_SECOND = 5
_EVER = 253_402_300_799
"""The last second of the year 9999: a criterion that all dead letters meet, for acts need one."""


class _Meant(NamedTuple):
    """Which dead letters an act means, and what it does."""

    namespace: str
    chosen: LetterFilter
    action: ops.Action
    patch: bytes


class BulkPages:
    """The dry run, and the act.

    Args:
        site: renders them.
        calls: ask the server.
        runs: carry long actions out.
    """

    def __init__(self, site: Site, calls: Calls, runs: Runs) -> None:
        self._site = site
        self._calls = calls
        self._runs = runs
        self._patches = PatchPages(site, calls)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._site.route("/dead-letters/all", self.serve, "GET", "POST"),
            self._site.route("/dead-letters/all/counted", self.show_counted),
        ]

    async def serve(self, request: Request) -> Response:
        """Show which are meant, or begin an act."""
        if request.method == "POST":
            return await self._begin(request, namespace_of(request))
        return self._site.page(request, "all", filter=LetterFilter.parse(request.query_params), is_counted=False)

    async def show_counted(self, request: Request) -> Response:
        """Show what an act would do, which takes a while: as a part of the page, or as a page of its own."""
        chosen = LetterFilter.parse(request.query_params)
        dry = await dry_run(self._calls, namespace_of(request), chosen)
        return self._site.page(
            request,
            "all_counted" if "hx-request" in request.headers else "all",
            filter=chosen,
            is_counted=True,
            total=dry.total,
            waiting=dry.waiting,
            settled=dry.settled,
            is_cut=dry.is_cut,
        )

    async def _begin(self, request: Request, namespace: str) -> Response:
        form = await posted(request)
        chosen = LetterFilter.parse(form.values())
        if form.text("verb") == "preview":
            first = ops.ListDeadLettersRequest(namespace=namespace, worker_topic=chosen.topic, filter=chosen.criteria())
            refs = [each.item for each in (await self._calls.ListDeadLetters(first)).items]
            return await self._patches.show(request, form, ("dead-letters", "all"), refs, is_paced=True)
        verb, action, rate, most = form.text("verb"), form.action(), form.rate(), _most(form)
        if verb not in {"replay", "discard"}:
            raise invalid("verb", "must be replay or discard")
        dry = await dry_run(self._calls, namespace, chosen)
        meant = _Meant(namespace, chosen, action, patch_of(form) if verb == "replay" else b"")
        steps = self._steps(verb, meant, dry.topics, (_step_items(rate), most))
        title = "Replay of dead letters" if verb == "replay" else "Discard of dead letters"
        total = 0 if dry.is_cut else dry.total
        total = min(total, most) if most and total else total
        run_id = await self._runs.begin(namespace, title, "dead letters", steps, total=total, rate=rate)
        return see(request, "runs", run_id)

    async def _steps(
        self,
        verb: str,
        meant: _Meant,
        topics: tuple[str, ...],
        bounds: tuple[int, int],
    ) -> AsyncIterator[Step]:
        """Act topic by topic.

        Args:
            verb: `replay` or `discard`.
            meant: which dead letters, and what is done with them.
            topics: that have some.
            bounds: most items of a step, and altogether (0: all).
        """
        size, most = bounds
        left = most or 2**62
        for topic in topics:
            if left <= 0:
                return
            async for step in self._topic_steps(verb, meant, (topic, size, left)):
                left -= step.done + step.refused
                yield step

    async def _topic_steps(self, verb: str, meant: _Meant, part: tuple[str, int, int]) -> AsyncIterator[Step]:
        topic, size, most = part
        criteria = meant.chosen.criteria()
        if criteria == ops.DeadLetterFilter():
            criteria.dead_letter_time_until.FromSeconds(_EVER)
        if verb == "replay":
            asked = ops.ReplayDeadLettersRequest(
                namespace=meant.namespace,
                worker_topic=topic,
                filter=criteria,
                action=meant.action,
                payload_patch=meant.patch,
            )
            async for reply in self._calls.replay_in_steps(asked, size, most):
                yield Step(reply.replayed_count, reply.refused_count, _told(reply.refusals))
            return
        dropping = ops.DiscardDeadLettersRequest(
            namespace=meant.namespace, worker_topic=topic, filter=criteria, action=meant.action
        )
        async for dropped in self._calls.discard_in_steps(dropping, size, most):
            yield Step(dropped.discarded_count, dropped.refused_count, _told(dropped.refusals))


def _step_items(rate: int) -> int:
    """Return how many items one step takes: at a pace few, so that it is even."""
    return max(1, min(_STEP, rate // _STEPS_A_SECOND)) if rate else _STEP


def _most(form: Form) -> int:
    text = form.text("most") or "0"
    if not text.isdecimal():
        raise invalid("most", f"must be a number, or empty for all, got {text[:20]!r}")
    return int(text)


def _told(refusals: Iterable[ops.DeadLetterRefusal]) -> tuple[str, ...]:
    """Return why dead letters were left alone, a line for each."""
    return tuple(_line(each.item.item_id, from_status(each.error)) for each in refusals)


def _line(item_id: str, error: RemoteWorkersError) -> str:
    return error.message if item_id in error.message else f"{item_id}: {error.message}"
