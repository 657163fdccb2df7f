"""Everything that the gateway serves."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bloge_server.http.gateway import openapi
from bloge_server.http.gateway.calls import Calls
from bloge_server.http.gateway.dead_letters import DeadLetterEndpoints
from bloge_server.http.gateway.endpoints import Endpoint
from bloge_server.http.gateway.work_items import WorkItemEndpoints
from bloge_server.http.gateway.workers import WorkerEndpoints


def endpoints(calls: Calls) -> list[Endpoint]:
    """Return the endpoints, in the order of the document."""
    parts = (WorkerEndpoints(calls), DeadLetterEndpoints(calls), WorkItemEndpoints(calls))
    return [endpoint for part in parts for endpoint in part.endpoints()]


def routes(calls: Calls, version: str) -> list[Route]:
    """Return the routes of the gateway, and `/openapi.json`, which describes them.

    Args:
        calls: what carries requests out.
        version: of the server.
    """
    known = endpoints(calls)
    document = openapi.document(known, version)

    async def describe(_request: Request) -> Response:
        return JSONResponse(document)

    return [*(endpoint.route() for endpoint in known), Route("/openapi.json", describe)]
