"""A patch for the payloads of many dead letters: what it would change in the first ones is shown before."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.domain.merge_patch import patched
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.forms import Form, invalid
from bloge_server.http.console.replay import DiffLine, difference, editable
from bloge_server.http.console.security import FIELD
from bloge_server.http.console.site import Site

_SHOWN = 3
"""Of how many dead letters the changes are shown."""
_FILLED_IN = frozenset({"patch", "reason", "actor", "rate", "most", "verb", FIELD})
"""Fields that the page has for people; whatever else was sent says which dead letters are meant."""


class Preview(NamedTuple):
    """What a patch would change in a dead letter."""

    item: pb.WorkItemRef
    diff: Sequence[DiffLine]
    problem: str
    """Why it cannot be patched; empty if it can."""


def patch_of(form: Form) -> bytes:
    """Return the patch that was filled in; empty for none.

    Raises:
        RemoteWorkersError: INVALID_FIELD if it is no JSON.
    """
    text = form.text("patch")
    if text:
        try:
            json.loads(text)
        except ValueError as error:
            raise invalid("patch", f"must be JSON: {error}") from None
    return text.encode()


class PatchPages:
    """Shows what a patch would change, and asks once more.

    Args:
        site: renders it.
        calls: ask the server.
    """

    def __init__(self, site: Site, calls: Calls) -> None:
        self._site = site
        self._calls = calls

    async def show(
        self, request: Request, form: Form, act: Sequence[str], refs: Sequence[pb.WorkItemRef], *, is_paced: bool
    ) -> Response:
        """Return the page.

        Args:
            request: what asked for it.
            form: what was filled in.
            act: path of the act that the page leads to.
            refs: the dead letters that are meant, the first of them at least.
            is_paced: whether the act has a rate and a limit.
        """
        patch = patch_of(form)
        return self._site.page(
            request,
            "patch",
            form=form,
            meant=[(name, value) for name, value in form.pairs if name not in _FILLED_IN],
            act=act,
            previews=[await self._preview(ref, patch) for ref in refs[:_SHOWN]],
            is_paced=is_paced,
        )

    async def _preview(self, ref: pb.WorkItemRef, patch: bytes) -> Preview:
        before = (await self._calls.GetWorkItem(ops.GetWorkItemRequest(item=ref))).item.spec.payload
        try:
            after = patched(before, json.loads(patch)) if patch else before
        except ValueError:
            return Preview(ref, (), "Its payload is no JSON: it would be left alone.")
        texts = editable(before), editable(after)
        if texts[0] is None or texts[1] is None:
            return Preview(ref, (), "It is too long to be shown here.")
        return Preview(ref, difference(texts[0], texts[1]), "")
