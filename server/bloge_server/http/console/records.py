"""What people did, and the audit of the store."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.forms import name_in, posted
from bloge_server.http.console.runs import Runs, Step
from bloge_server.http.console.site import Site, namespace_of, page_after, see

_PAGE = 50


class RecordPages:
    """The list of actions, and the audit.

    Args:
        site: renders them.
        calls: ask the server.
        runs: carry long actions out.
    """

    def __init__(self, site: Site, calls: Calls, runs: Runs) -> None:
        self._site = site
        self._calls = calls
        self._runs = runs

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._site.route("/actions", self.show_actions),
            self._site.route("/audit", self.audit, "GET", "POST"),
        ]

    async def show_actions(self, request: Request) -> Response:
        """List what people did, latest first."""
        namespace = namespace_of(request)
        asked = ops.ListActionsRequest(
            namespace=namespace, page_size=_PAGE, page_token=request.query_params.get("page", "")
        )
        listed = await self._calls.ListActions(asked)
        next_page = page_after(namespace, listed.next_page_token, "actions")
        return self._site.page(request, "actions", actions=listed.actions, next_page=next_page)

    async def audit(self, request: Request) -> Response:
        """Show the form, or begin an audit."""
        if request.method == "GET":
            return self._site.page(request, "audit")
        form = await posted(request)
        namespace = namespace_of(request)
        asked = ops.AuditRequest(
            namespace=namespace,
            worker_topic=name_in(form.values(), "topic"),
            repair=form.text("repair") == "yes",
            action=form.action(),
        )
        title = "Audit and repair" if asked.repair else "Audit"
        run_id = await self._runs.begin(namespace, title, "items looked at", self._steps(asked))
        return see(request, "runs", run_id)

    async def _steps(self, asked: ops.AuditRequest) -> AsyncIterator[Step]:
        before = findings = 0
        async for told in self._calls.Audit(asked):
            findings += len(told.findings)
            end = ("Everything stands where it should.",) if told.done and not findings else ()
            yield Step(told.item_count - before, lines=(*map(_line, told.findings), *end))
            before = told.item_count


def _line(finding: ops.AuditFinding) -> str:
    where = "/".join(filter(None, (finding.item.worker_topic, finding.item.item_id)))
    return f"{where}: {finding.problem}{' (repaired)' if finding.repaired else ''}"
