"""Whether the process lives, and whether it can take work."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bloge.remote_workers.errors import RemoteWorkersError
from bloge_server.services.readiness import Readiness

_UNREADY = 503


def routes(readiness: Readiness) -> list[Route]:
    """Return `/healthz` and `/readyz`."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        try:
            await readiness.check()
        except RemoteWorkersError as error:
            return JSONResponse({"status": "unready", "reason": error.reason, "message": error.message}, _UNREADY)
        return JSONResponse({"status": "ready"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
