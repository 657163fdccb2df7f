"""The replay of one dead letter: its payload may be changed, and what changes is shown before."""

import difflib
import json
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.console import shown
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.forms import Form, posted
from bloge_server.http.console.items import ItemPages, raise_first, ref_of
from bloge_server.http.console.items_shown import ListedItem
from bloge_server.http.console.site import Site

_MOST_BYTES = 150_000
"""Longer payloads are not changed in a browser."""
_KINDS = {"+": "add", "-": "cut", "@": "place"}


class DiffLine(NamedTuple):
    """A line of what changes."""

    kind: str
    text: str


class ReplayPages:
    """The form, the preview, and the act.

    Args:
        site: renders them.
        calls: ask the server.
    """

    def __init__(self, site: Site, calls: Calls) -> None:
        self._site = site
        self._calls = calls

    def routes(self) -> list[Route]:
        """Return the route."""
        return [self._site.route("/topics/{topic}/items/{item}/replay", self.serve, "GET", "POST")]

    async def serve(self, request: Request) -> Response:
        """Show the form, show what would change, or replay."""
        found = await self._calls.GetWorkItem(ops.GetWorkItemRequest(item=ref_of(request)))
        before = editable(found.item.spec.payload)
        if request.method == "GET":
            return self._form(request, found.item, Form([("payload", before or "")]))
        form = await posted(request)
        try:
            after = _checked(form.text("payload")) if before is not None else None
        except ValueError as error:
            return self._form(request, found.item, form, problem=f"The payload is not JSON any more: {error}")
        if form.text("step") == "preview":
            return self._form(request, found.item, form, diff=difference(before or "", after or ""))
        try:
            await self._replay(request, form, after if after != before else None)
        except RemoteWorkersError as error:
            return self._form(request, found.item, form, problem=error.message)
        return ItemPages.done(request, "replayed")

    async def _replay(self, request: Request, form: Form, payload: str | None) -> None:
        ref = ref_of(request)
        asked = ops.ReplayDeadLettersRequest(
            namespace=ref.namespace,
            worker_topic=ref.worker_topic,
            filter=ops.DeadLetterFilter(item_ids=[ref.item_id]),
            action=form.action(),
        )
        if payload is not None:
            asked.payload = _compact(payload)
        raise_first((await self._calls.ReplayDeadLetters(asked)).refusals)

    def _form(
        self,
        request: Request,
        item: pb.WorkItem,
        form: Form,
        *,
        diff: list[DiffLine] | None = None,
        problem: str = "",
    ) -> Response:
        return self._site.page(
            request,
            "replay",
            item=item,
            last_failure=ListedItem(item).last_failure,
            is_text=editable(item.spec.payload) is not None,
            payload=form.text("payload"),
            reason=form.text("reason"),
            actor=form.text("actor"),
            diff=diff,
            problem=problem,
        )


def editable(payload: bytes) -> str | None:
    """Return a payload as it can be changed in a text field; None if it cannot."""
    if len(payload) > _MOST_BYTES:
        return None
    try:
        payload.decode()
    except UnicodeDecodeError:
        return None
    return shown.document(payload).replace("\r\n", "\n").strip()


def difference(before: str, after: str) -> list[DiffLine]:
    """Return what changes from one text to another; empty if nothing does."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return [DiffLine(_KINDS.get(line[:1], "same"), line) for line in list(lines)[2:]]


def _checked(text: str) -> str:
    """Return a changed payload as it would be shown: JSON as JSON, and text that looks like none as it is.

    Raises:
        ValueError: it looks like JSON and is none.
    """
    text = text.replace("\r\n", "\n")
    if text[:1] in {"{", "["}:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return shown.document(text.encode())


def _compact(text: str) -> bytes:
    """Return a payload as workers get it."""
    try:
        return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False).encode()
    except ValueError:
        return text.encode()
